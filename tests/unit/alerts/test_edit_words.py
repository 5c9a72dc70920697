"""An alert says everything by one version of its rule, and nothing new without a record."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.alerts.domain.alert import Alert
from services.alerts.domain.durations import duration_text
from services.alerts.domain.rule import Rule
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import OFFER, Desk, Says, rule
from tests.unit.alerts.facts import created, ev, h, moved
from tests.unit.alerts.strategies import histories, rules
from tests.unit.alerts.test_edits import EDITED, look
from tests.unit.alerts.test_reconcile_laws import arrivals, assert_begins, assert_follows, steps

NEW: dict[str, Any] = {
    "version": 2, "changed_at": EDITED, "name": "New", "severity": "critical", "summary": "new",
}  # fmt: skip
AS_NEW = 2, "New", "critical", "new"
AS_OLD = 1, "Stalled", "warning", None


def words(alert: Alert) -> tuple[int, str, str, str | None]:
    return alert.rule_version, alert.rule_name, alert.severity, alert.summary


def limit(alert: Alert) -> str:
    return str(alert.evidence["clock"]["limit"])


def test_an_alert_that_goes_on_says_by_one_correction_what_the_new_version_says() -> None:
    """Also where both see it begin at the same instant."""
    desk = Desk(rule())
    look(desk, 12, created(0))
    desk.rule = rule(limit=15, offset=-5, judges_since=2, **NEW)
    assert look(desk, 21, created(0)) == [("corrected", 10, "alert-1")]
    alert = desk.alerts["alert-1"]
    assert (words(alert), limit(alert), alert.version) == (AS_NEW, "PT15H", 2)
    assert alert.corrections[-1]["evidence"]["clock"]["limit"] == "PT10H"
    assert look(desk, 22, created(0)) == []
    look(desk, 31, created(0), ev(30, "deal.deleted"))
    ended = desk.alerts["alert-1"]
    assert (words(ended), limit(ended), ended.resolved_at) == (AS_NEW, "PT15H", h(30))


def test_other_words_alone_leave_an_alert_as_it_was_told_until_its_end() -> None:
    desk = Desk(rule())
    look(desk, 12, created(0))
    desk.rule = rule(judges_since=1, **NEW)
    assert look(desk, 21, created(0)) == []
    assert words(desk.alerts["alert-1"]) == AS_OLD
    look(desk, 31, created(0), ev(30, "deal.deleted"))
    assert words(desk.alerts["alert-1"]) == AS_OLD


def test_what_is_corrected_after_a_change_of_words_says_the_new_ones() -> None:
    desk = Desk(rule(scope=OFFER))
    look(desk, 21, created(0), moved(5, "offer", "late"))
    desk.rule = rule(scope=OFFER, judges_since=1, **NEW)
    events = created(0), moved(3, "offer", "early"), moved(5, "offer", "late")
    assert look(desk, 22, *events) == [("corrected", 13, "alert-1")]
    assert words(desk.alerts["alert-1"]) == AS_NEW


EITHER = Says(
    "an offer, or worth 50",
    lambda deal: deal["stage_id"] == "offer" or float(deal["amount"] or 0) >= 50,
)


def test_words_that_change_after_an_edit_are_not_the_edit() -> None:
    """What was standing when the version that judges so was published is told, whenever we look."""
    desk = Desk(rule("created_at", scope=OFFER))
    life = created(0, stage_id="offer"), moved(15, "lead")
    look(desk, 18, *life)
    second = rule("created_at", scope=EITHER, version=2, judges_since=2, changed_at=EDITED)
    desk.rule = replace(second, version=3, changed_at=h(40), judges_from=EDITED, name="Reworded")
    late = (
        ev(14, "deal.updated", changes={"amount": "50"}),
        ev(30, "deal.updated", changes={"amount": "10"}),
    )
    assert look(desk, 41, *life, *late) == [("fired", 10, "alert-2"), ("resolved", 30, "alert-2")]


@given(histories, rules, rules | st.none(), st.randoms(use_true_random=False), steps)
def test_each_record_speaks_of_one_version_and_is_the_latest_state(
    events: list[FoldEvent], first: Rule, then: Rule | None, random: Any, steps: list[int]
) -> None:
    """An edit of all, or (`None`) of words alone; a row is what its last record said."""
    desk, looks = Desk(first), arrivals(events, random, steps)
    second = replace(then or first, **NEW, judges_since=2 if then else 1)
    for turn, (known, now) in enumerate(looks):
        if turn == len(looks) // 2:
            desk.rule = replace(second, changed_at=now)
        desk.look(known, now)
    said = {1: (AS_OLD, first), 2: (AS_NEW, second)}
    for records in desk.lives().values():
        assert_begins(records[0])
        for before, record in pairwise(records):
            assert_follows(before.alert, record)
        for alert in (record.alert for record in records if record.alert.resolution is None):
            expected, by = said[alert.rule_version]
            assert (words(alert), limit(alert)) == (expected, duration_text(by.clock.limit))
        last = records[-1].alert
        assert replace(desk.alerts[last.alert_id], clock=last.clock) == last
