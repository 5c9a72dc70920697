"""Verdicts are those of a second evaluator that walks the hours one by one."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from libs.common.activities import Activity
from libs.common.contracts.events import ActivityData
from libs.common.expr.port import ExpressionFailed
from services.alerts.domain.overlaps import overlap
from services.alerts.domain.rule import MetBy, Rule
from services.alerts.domain.timeline import Facts, is_there, timeline
from services.alerts.domain.verdicts import Violation
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import judged
from tests.unit.alerts.facts import START, facts_of, h, state_of
from tests.unit.alerts.oracle import State, Stretch, Watch, stretches
from tests.unit.alerts.strategies import LAST, facts, histories, rules

nows = st.integers(0, LAST + 16)


@given(histories, rules, nows)
def test_verdicts_are_those_of_the_oracle(events: list[FoldEvent], rule: Rule, now: int) -> None:
    known = facts_of(events)
    assume(known is not None)
    assert known is not None
    found = judged(rule, known, h(now)).violations
    hours = [plain(state_of(events, at)) for at in range(now + 1)]
    created = [creation(events, at) for at in range(now + 1)]
    assert [stretch(v) for v in found] == stretches(watch(rule, known, created), hours)


@given(histories, nows)
def test_a_timeline_shows_what_the_funnel_answers(events: list[FoldEvent], now: int) -> None:
    known, answer = facts_of(events), state_of(events, now)
    assume(known is not None and is_there(answer))
    assert known is not None
    assert answer is not None
    shown = timeline(known, h(now)).at(h(now))
    assert shown is not None
    fields = {*Activity._fields, "status", "stage_id", "owner_id", "region", "created_at"}
    if (planned := answer["next_planned_at"]) is not None and planned <= h(now):
        fields.remove("next_planned_at")  # the funnel's is as of its last event
    assert {name: shown[name] for name in fields} == {name: answer[name] for name in fields}


@given(facts, rules, nows)
def test_stretches_of_one_clock_never_overlap(facts: Facts, rule: Rule, now: int) -> None:
    found = judged(rule, facts, h(now)).violations
    for a, b in combinations(found, 2):
        if a.event == b.event:
            spans = (a.started_at, a.cleared_at), (b.started_at, b.cleared_at)
            assert not overlap(*spans), spans


@given(histories, rules, nows)
def test_time_alone_changes_nothing_before_the_next_look(
    events: list[FoldEvent], rule: Rule, now: int
) -> None:
    """The timer of a judgement misses nothing, and never asks for the same instant again.

    Some events lie ahead: each is looked at when its time comes.
    """
    known = facts_of(events)
    assume(known is not None)
    assert known is not None
    judgement = judged(rule, known, h(now))
    ahead = [h(hour) for hour in range(now + 1, LAST + 30)]
    look = judgement.next_look or ahead[-1]
    assert look > h(now)
    for later in (at for at in ahead if at < look):
        assert judged(rule, known, later).violations == judgement.violations


@given(histories, rules, nows)
def test_what_lies_ahead_tells_nothing(events: list[FoldEvent], rule: Rule, now: int) -> None:
    """Verdicts are those of somebody who has not heard yet of what comes after."""
    known, then = facts_of(events), facts_of([e for e in events if e.occurred_at <= h(now)])
    assume(known is not None)
    assert known is not None
    before = judged(rule, then, h(now)).violations if then else []
    assert told(judged(rule, known, h(now)).violations) == told(before)


def told(found: Sequence[Violation]) -> list[Any]:
    """All but the stop of a clock, which facts may tell of before it comes."""
    return [(v.run.start, v.started_at, v.cleared_at, v.superseded, v.state) for v in found]


def creation(events: list[FoldEvent], now: int) -> int:
    """The first event is one until there is a `deal.created`; what is said of a deal that was
    merged into this one creates nothing."""
    mine = [e for e in events if e.subject == "d1" and e.occurred_at <= h(now)]
    made = [e for e in mine if e.type == "deal.created"]
    return min((hour(e.occurred_at) for e in made or mine), default=0)


def watch(rule: Rule, facts: Facts, created: Sequence[int]) -> Watch:
    """A rule in the oracle's words."""
    met_by = rule.clock.met_by
    deeds = timeline(facts, h(LAST + 30)).deeds if met_by else ()
    met = [
        (hour(deed.event.at), hour(deed.at))
        for deed in deeds
        if met_by and meets(met_by, deed.data)
    ]
    wait = (rule.clock.offset + rule.clock.limit) // timedelta(hours=1)
    return Watch(rule.clock.start, wait, lambda deal: inside(rule, deal), met, created)


def inside(rule: Rule, deal: State) -> bool | None:
    """`None`: the scope has no answer."""
    try:
        return bool(rule.scope.evaluate({"deal": deal}))
    except ExpressionFailed:
        return None


def meets(met_by: MetBy, data: ActivityData) -> bool:
    kind = not met_by.kinds or data.kind in met_by.kinds
    direction = not met_by.direction or data.direction == met_by.direction
    return kind and direction and met_by.automated in (None, data.automated)


def plain(state: Mapping[str, Any] | None) -> State | None:
    """A state with hours for instants."""
    if state is None:
        return None
    return {k: hour(v) if isinstance(v, datetime) else v for k, v in state.items()}


def stretch(found: Violation) -> Stretch:
    """A verdict in the oracle's words."""
    ended = found.cleared_at
    until = None if ended is None else hour(ended)
    return Stretch(hour(found.run.start.at), hour(found.started_at), until)


def hour(at: datetime) -> int:
    return int((at - START).total_seconds() / 3600)
