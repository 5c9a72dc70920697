"""What an alert tells of the deal at its beginning, once late facts give it another state there."""

from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest

from services.alerts.domain.alert import Told
from services.alerts.domain.timeline import Facts
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import OPEN, Desk, Says, rule
from tests.unit.alerts.facts import called, created, ev, facts_of, h, moved

OLD = rule("created_at", limit=10)
MADE = created(0, owner_id="u1", amount="100.00", currency="EUR")
LATE = {
    "owner": ev(5, "deal.updated", changes={"owner_id": "u2"}),
    "amount": ev(5, "deal.updated", changes={"amount": "7.00"}),
    "name": ev(5, "deal.updated", changes={"name": "another"}),
    "stage": moved(5, "offer"),
    "activity": called(5),
}


def known(*events: FoldEvent) -> Facts:
    facts = facts_of(events)
    assert facts is not None
    return facts


def looked(desk: Desk, *events: FoldEvent) -> Sequence[Told]:
    return desk.look(known(*events), h(20)).told


def stored(desk: Desk) -> None:
    """Rows as a database gives them back."""
    for name, alert in desk.alerts.items():
        text = orjson.dumps(alert.evidence, option=orjson.OPT_UTC_Z)
        desk.alerts[name] = replace(alert, evidence=orjson.loads(text))


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_a_late_fact_before_its_beginning_corrects_what_it_tells(late: FoldEvent) -> None:
    desk, fresh = Desk(OLD), Desk(OLD)
    (fired,) = looked(desk, MADE)
    stored(desk)
    (record,) = looked(desk, MADE, late)
    (wanted,) = looked(fresh, MADE, late)
    assert (record.type, record.at) == ("alert.corrected", fired.at)
    assert record.alert.evidence == wanted.alert.evidence
    assert record.alert.evidence != fired.alert.evidence
    assert (record.alert.state, record.alert.version) == ("firing", 2)
    stored(desk)
    assert looked(desk, MADE, late) == []


def test_labels_and_summary_follow() -> None:
    labels = {"owner": Says("deal.owner_id", lambda deal: deal["owner_id"])}
    desk = Desk(rule("created_at", limit=10, labels=labels, summary="of {{deal.owner_id}}"))
    looked(desk, MADE)
    (record,) = looked(desk, MADE, LATE["owner"])
    assert (record.alert.labels, record.alert.summary) == ({"owner": "u2"}, "of u2")


def test_one_that_is_over_is_corrected_as_well() -> None:
    over = ev(15, "deal.lost")
    desk = Desk(rule("created_at", limit=10, scope=OPEN))
    assert [told.type for told in looked(desk, MADE, over)] == ["alert.fired", "alert.resolved"]
    (record,) = looked(desk, MADE, over, LATE["owner"])
    assert (record.type, record.alert.resolved_at) == ("alert.corrected", h(15))
    assert record.alert.evidence["facts"]["owner_id"] == "u2"


def test_what_comes_after_its_beginning_is_no_news() -> None:
    desk = Desk(OLD)
    looked(desk, MADE)
    later = (moved(12, "offer"), called(13), ev(14, "deal.updated", changes={"owner_id": "u3"}))
    assert looked(desk, MADE, *later) == []


def test_another_name_of_its_stage_is_no_news() -> None:
    desk, facts = Desk(OLD), known(MADE)
    looked(desk, MADE)
    spans = [replace(span, facts={**span.facts, "stage_name": "Lead!"}) for span in facts.spans]
    assert desk.look(replace(facts, spans=spans), h(20)).told == []
