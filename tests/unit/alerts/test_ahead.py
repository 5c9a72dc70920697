"""What facts tell of the time to come: looked at when it comes, and unknown before."""

from datetime import datetime
from typing import Any, cast

import pytest

from services.alerts.domain.rule import StartField
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import OPEN, Desk, Says, judged, rule
from tests.unit.alerts.facts import called, created, ev, facts_of, h, moved
from tests.unit.alerts.test_reconcile_laws import said

UNPLANNED = Says("nothing planned", lambda deal: deal["next_planned_at"] is None)


def planned(at: float, ahead: float, deal: str = "d1") -> FoldEvent:
    scheduled = h(ahead).isoformat()
    return ev(at, "activity.scheduled", deal, activity_id="p", scheduled_for=scheduled)


@pytest.mark.parametrize(
    ("events", "looks"),
    [
        ([created(2)], [2, 12]),
        ([created(0), moved(12, "offer")], [10, 12, 22]),
        ([created(0), ev(12, "deal.won")], [10, 12, 22]),
        ([created(0), ev(12, "deal.updated", changes={"name": "N"}), ev(13, "deal.deleted")],
         [10, 12, 13]),
        ([created(0), planned(5, 14)], [5, 10, 14]),
    ],
)  # fmt: skip
def test_each_look_leads_to_the_next(events: list[FoldEvent], looks: list[float]) -> None:
    """All is known from the first on: time alone tells the story."""
    facts, found, now = facts_of(events), [], h(0)
    assert facts is not None
    while (look := judged(rule(scope=OPEN), facts, now).next_look) is not None:
        found.append(look)
        now = look
    assert found == [h(at) for at in looks]


def story(desk: Desk, *events: FoldEvent) -> list[Any]:
    """Looks only when a timer says so; what is told, in hours."""
    facts, now = facts_of(events), cast(datetime | None, h(0))
    assert facts is not None
    while now is not None:
        desk.look(facts, now)
        now = judged(desk.rule, facts, now).next_look
    return [
        (told.type.removeprefix("alert."), (told.at - h(0)).total_seconds() / 3_600)
        for told in desk.records
    ]


def test_an_end_that_is_known_before_is_told_when_it_comes() -> None:
    on = Desk(rule(scope=OPEN))
    assert story(on, created(0), ev(12, "deal.won")) == [("fired", 10), ("resolved", 12)]


def test_a_deal_that_begins_ahead_is_watched_once_it_is_there() -> None:
    assert story(Desk(rule()), created(2)) == [("fired", 12)]


def test_a_creation_that_lies_ahead_is_none_yet() -> None:
    """Until then the first event is the creation; there its clock stops, and another begins."""
    on, events = Desk(rule("created_at", 30)), (called(0), created(60))
    assert story(on, *events) == [("fired", 30), ("resolved", 60), ("fired", 90)]
    assert [alert.resolution for alert in on.standing] == ["cleared", None]
    late = Desk(rule("created_at", 30))
    late.look(facts_of(events), h(100))
    assert said(late.standing) == said(on.standing)


@pytest.mark.parametrize("start", ["created_at", "stage_entered_at", "last_activity_at"])
def test_a_creation_after_the_first_event_begins_a_clock_of_its_own(start: StartField) -> None:
    """It does not say of the time before what was not known of it then."""
    events = ev(0, "deal.updated", changes={"amount": "5"}), created(15)
    for looks in ([12, 31], [31]):
        on = Desk(rule(start))
        for now in looks:
            on.look(facts_of(events), h(now))
        spans = [(a.key[1], a.started_at, a.resolved_at) for a in on.standing]
        assert spans == [
            ("deal.updated@0", h(10), h(15)), ("deal.created@15", h(25), None),
        ]  # fmt: skip


def test_a_plan_that_a_scope_asks_for_passes_by_itself() -> None:
    on = Desk(rule(scope=UNPLANNED))
    assert story(on, created(0), planned(5, 14)) == [("fired", 14)]


def test_a_plan_that_a_merge_brings_is_the_survivors_from_then_on() -> None:
    on = Desk(rule("created_at", scope=UNPLANNED))
    merge = ev(12, "deal.merged", merged_deal_ids=["d2"])
    events = created(0), created(0, "d2"), planned(1, 20, "d2"), merge
    assert story(on, *events) == [("fired", 10), ("resolved", 12), ("fired", 20)]
