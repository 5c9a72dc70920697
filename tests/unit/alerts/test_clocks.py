"""Boundaries of clocks, instant by instant; each story with its verdicts in hours."""

from dataclasses import replace

import pytest

from services.alerts.domain.rule import MetBy, Rule
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import OFFER, OPEN, judged, rule
from tests.unit.alerts.facts import START, called, created, ev, facts_of, h, moved

Hours = list[tuple[float, float | None]]
CALL = MetBy(frozenset({"call"}))


def violated(of: Rule, *events: FoldEvent, now: float = 40) -> Hours:
    """`[from, to)` of each violation of `d1`."""
    facts = facts_of(events)
    assert facts is not None
    found = judged(of, facts, h(now)).violations
    return [
        ((v.started_at - START).total_seconds() / 3600,
         None if v.cleared_at is None else (v.cleared_at - START).total_seconds() / 3600)
        for v in found
    ]  # fmt: skip


@pytest.mark.parametrize(("now", "expected"), [(9.999, []), (10, [(10, None)])])
def test_a_clock_is_violated_at_its_due_instant(now: float, expected: Hours) -> None:
    assert violated(rule(), created(0), now=now) == expected


@pytest.mark.parametrize(("left", "expected"), [(9.999, []), (10, []), (10.001, [(10, 10.001)])])
def test_a_stage_left_at_the_due_instant_was_left_in_time(left: float, expected: Hours) -> None:
    of = rule(scope=OPEN, limit=10)
    assert violated(of, created(0), moved(left, "offer"), now=19) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [(-0.001, [(10, None)]), (0, []), (5, []), (10, []), (10.5, [(10, 10.5)]), (12, [(10, 12)])],
)
def test_what_meets_a_clock_from_its_start_to_its_due_instant(at: float, expected: Hours) -> None:
    assert violated(rule("created_at", met_by=CALL), created(0), called(at)) == expected


@pytest.mark.parametrize("kind", ["email", "meeting"])
def test_an_activity_of_another_kind_meets_nothing(kind: str) -> None:
    assert violated(rule(met_by=CALL), created(0), called(5, kind=kind)) == [(10, None)]


def test_a_stop_is_the_start_of_the_next_clock() -> None:
    """Both at one instant: no hour is counted twice, none is lost."""
    events = created(0), moved(12, "offer"), moved(24, "signed")
    assert violated(rule(), *events) == [(10, 12), (22, 24), (34, None)]


def test_a_visit_without_length_is_never_violated() -> None:
    events = created(0), moved(5, "offer", "a"), moved(5, "lead", "b")
    assert violated(rule(limit=0, scope=OFFER), *events) == []
    assert violated(rule(limit=10), *events) == [(15, None)]


def test_a_limit_of_nothing_is_violated_at_once_and_met_at_once() -> None:
    assert violated(rule(limit=0), created(3)) == [(3, None)]
    assert violated(rule(limit=0, met_by=CALL), created(3), called(3)) == []


def test_a_due_instant_before_the_start_counts_from_the_start() -> None:
    assert violated(rule(limit=1, offset=-5), created(3)) == [(3, None)]


def test_a_deal_that_is_gone_is_not_violated() -> None:
    events = created(0), ev(5, "deal.deleted"), ev(15, "deal.restored")
    assert violated(rule("created_at"), *events) == [(15, None)]
    assert violated(rule("created_at"), created(0), ev(10, "deal.deleted")) == []


def test_an_activity_before_the_creation_starts_the_idle_clock() -> None:
    assert violated(rule("last_activity_at"), called(0), created(5)) == [(10, None)]


@pytest.mark.parametrize(("planned", "expected"), [(10, [(10, None)]), (12, [(12, None)])])
def test_a_planned_activity_excuses_until_its_time_and_not_at_it(
    planned: float, expected: Hours
) -> None:
    plan = ev(2, "activity.scheduled", activity_id="p", scheduled_for=h(planned).isoformat())
    assert violated(rule("last_activity_at"), created(0), plan) == expected


def test_an_activity_planned_too_late_ends_idleness_for_a_while() -> None:
    plan = ev(12, "activity.scheduled", activity_id="p", scheduled_for=h(14).isoformat())
    assert violated(rule("last_activity_at"), created(0), plan) == [(10, 12), (14, None)]


def test_what_a_reconciliation_tells_again_is_no_activity_more() -> None:
    """It tells a later time, as of its reading: neither idleness ends by it, nor is a clock met."""
    retold = replace(called(12, activity_id="c"), reconciled=True)
    told = called(5, activity_id="c")
    assert violated(rule("last_activity_at"), created(0), told, retold) == [(15, None)]
    assert violated(rule("last_activity_at"), created(0), retold) == [(10, 12), (22, None)]
    met = rule("stage_entered_at", met_by=CALL)
    moves = created(0, stage_id="lead"), moved(6, "offer")
    assert violated(met, *moves, told, retold) == [(16, None)]
    assert violated(met, *moves, retold) == []


def merged(at: float) -> FoldEvent:
    return ev(at, "deal.merged", merged_deal_ids=["d2"])


@pytest.mark.parametrize(
    ("brought", "expected"),
    [
        (1, [(12, None)]),
        (2, [(12, None)]),
        (4, [(12, 15), (15, None)]),
        (9, [(12, 15), (19, None)]),
    ],
)
def test_an_activity_that_a_merge_brings_is_the_last_one_only_if_later(
    brought: float, expected: Hours
) -> None:
    """One of the very same instant starts no clock: the violation goes on."""
    theirs = created(0, "d2"), called(brought, "d2", activity_id="x")
    events = created(0), called(2), *theirs, merged(15)
    assert violated(rule("last_activity_at"), *events) == expected


@pytest.mark.parametrize(
    ("call", "merge", "expected"),
    [
        (5, 12, [(20, None)]),
        (9.999, 12, [(20, None)]),
        (10, 12, []),
        (11, 12, []),
        (11, 20, []),
        (11, 30, [(20, 30)]),
        (5, 30, [(20, None)]),
    ],
)
def test_a_call_that_a_merge_brings_meets_only_a_clock_that_ran_when_it_was_made(
    call: float, merge: float, expected: Hours
) -> None:
    theirs = created(0, "d2"), called(call, "d2")
    events = created(0), moved(10, "offer"), *theirs, merged(merge)
    assert violated(rule(scope=OFFER, met_by=CALL), *events) == expected


def test_without_a_stage_the_creation_stands_in_also_after_a_reopening() -> None:
    """A deal that never had a stage is in none again once its win is taken back."""
    bare, won = created(0, stage_id=None), ev(12, "deal.won")
    events = bare, won, ev(20, "deal.reopened")
    assert violated(rule(scope=OPEN), *events) == [(10, 12), (20, None)]
    at_once = bare, ev(12, "deal.won", id_="a"), ev(12, "deal.reopened", id_="b")
    assert violated(rule(scope=OPEN), *at_once) == [(10, None)]


def test_a_creation_that_stands_in_twice_has_two_stretches() -> None:
    facts = facts_of([created(0, stage_id=None), ev(12, "deal.won"), ev(20, "deal.reopened")])
    assert facts is not None
    found = judged(rule(scope=OPEN), facts, h(40)).violations
    assert [(found.event[1], found.started_at) for found in found] == [
        ("deal.created@0", h(10)), ("deal.created@0", h(20)),
    ]  # fmt: skip
