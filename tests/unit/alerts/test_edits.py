"""A rule says something else by now: what stands is carried on, what is over is left as it was."""

from typing import Any

import pytest

from services.alerts.domain.rule import MetBy, Rule
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import ANY, OFFER, OPEN, Desk, Says, rule
from tests.unit.alerts.facts import called, created, ev, facts_of, h, moved

EDITED = h(20)
OVER_100 = Says("deal.amount > 100", lambda deal: float(deal["amount"] or 0) > 100)
OVER_50 = Says("deal.amount > 50", lambda deal: float(deal["amount"] or 0) > 50)
OPEN_OFFER = Says(
    "an open offer", lambda deal: deal["stage_id"] == "offer" and deal["status"] == "open"
)


def worth(hour: float, amount: int) -> FoldEvent:
    return ev(hour, "deal.updated", changes={"amount": str(amount)})


def edited(start: Any, limit: float = 10, **fields: Any) -> Rule:
    """The second version, published at `EDITED`; it judges otherwise than the first."""
    return rule(start, limit, version=2, judges_since=2, changed_at=EDITED, **fields)


def look(desk: Desk, now: float, *events: FoldEvent) -> list[tuple[str, float, str]]:
    """What is told anew: type, hour, alert."""
    told = desk.look(facts_of(list(events)), h(now)).told
    return [
        (one.type.removeprefix("alert."), (one.at - h(0)).total_seconds() / 3_600,
         one.alert.alert_id)
        for one in told
    ]  # fmt: skip


def test_what_a_wider_scope_finds_standing_is_raised_though_an_older_alert_was_cleared() -> None:
    desk = Desk(rule("created_at", scope=OVER_100))
    events = created(0, amount="200"), worth(15, 80)
    look(desk, 18, *events)
    desk.rule = edited("created_at", scope=OVER_50)
    assert look(desk, 21, *events) == [("fired", 10, "alert-2")]
    assert look(desk, 22, *events, worth(21.5, 10)) == [("resolved", 21.5, "alert-2")]
    old, new = desk.standing
    assert (old.resolved_at, old.resolution) == (h(15), "cleared")
    assert (new.resolved_at, new.resolution) == (h(21.5), "cleared")
    assert look(desk, 30, *events, worth(21.5, 10)) == []


def test_what_no_longer_meets_a_clock_leaves_it_standing() -> None:
    desk, events = Desk(rule("created_at", met_by=MetBy())), (created(0), called(15))
    look(desk, 18, *events)
    desk.rule = edited("created_at")
    assert look(desk, 21, *events) == [("fired", 10, "alert-2")]


def test_what_was_over_by_both_versions_is_not_raised_again() -> None:
    desk, events = Desk(rule(scope=ANY)), (created(0), moved(15, "offer"))
    look(desk, 18, *events)
    desk.rule = edited("stage_entered_at", scope=OPEN)
    assert look(desk, 21, *events) == []


def test_an_edit_that_leaves_an_alert_its_start_carries_it_on_by_one_correction() -> None:
    desk = Desk(rule())
    look(desk, 12, created(0))
    desk.rule = edited("stage_entered_at", scope=OPEN)
    assert look(desk, 21, created(0)) == [("corrected", 10, "alert-1")]
    assert look(desk, 21, created(0)) == []
    assert [alert.rule_version for alert in desk.standing] == [2]
    late = created(0), moved(5, "offer")
    assert look(desk, 21.5, *late) == [("corrected", 10, "alert-1"), ("fired", 15, "alert-2")]
    assert desk.alerts["alert-1"].resolution == "retracted"


def test_a_start_that_moves_after_an_edit_moves_the_alert() -> None:
    desk = Desk(rule(scope=OFFER))
    look(desk, 16, created(0), moved(5, "offer", "late"))
    desk.rule = edited("stage_entered_at", scope=OPEN_OFFER)
    look(desk, 21, created(0), moved(5, "offer", "late"))
    events = created(0), moved(3, "offer", "early"), moved(5, "offer", "late")
    assert look(desk, 22, *events) == [("corrected", 13, "alert-1")]
    assert [alert.key[1] for alert in desk.standing] == ["early"]


def test_another_limit_moves_the_start_of_what_stands() -> None:
    desk = Desk(rule())
    look(desk, 19, created(0))
    desk.rule = edited("stage_entered_at", 11)
    assert look(desk, 21, created(0)) == [("corrected", 11, "alert-1")]
    (alert,) = desk.standing
    assert (alert.rule_version, alert.corrections[-1]["started_at"]) == (2, h(10))


@pytest.mark.parametrize("ended", [14, 20.5])
def test_what_stands_ends_as_the_new_version_says(ended: float) -> None:
    """By a scope that left it before the edit as well as by facts after it. First it is said to be
    the new version's, so that its end is told by the words of that one."""
    desk = Desk(rule("created_at"))
    events = created(0, amount="200"), worth(ended, 80)
    look(desk, min(ended, 19), *events)
    desk.rule = edited("created_at", scope=OVER_100)
    assert look(desk, 21, *events) == [
        ("corrected", 10, "alert-1"), ("resolved", ended, "alert-1"),
    ]  # fmt: skip


def test_what_the_new_version_never_says_is_superseded_at_the_edit() -> None:
    desk = Desk(rule())
    look(desk, 12, created(0))
    desk.rule = edited("stage_entered_at", scope=OFFER)
    assert look(desk, 21, created(0)) == [("resolved", 20, "alert-1")]
    assert desk.alerts["alert-1"].resolution == "superseded"


def test_words_alone_leave_the_version_that_an_alert_tells() -> None:
    desk = Desk(rule())
    look(desk, 12, created(0))
    desk.rule = rule(version=2, judges_since=1, name="Reworded", changed_at=EDITED)
    assert look(desk, 21, created(0)) == []
    assert [alert.rule_version for alert in desk.standing] == [1]
