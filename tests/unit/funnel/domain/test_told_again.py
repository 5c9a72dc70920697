"""What is told again under another event id, as by an import that reconciles: states are what they
were, done activities count once more (docs/connectors.md)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs.common.activities import DONE
from services.funnel.domain.model import FoldEvent
from tests.unit.funnel.domain.history import B2B, UNDEFINED, defined, ev, h, state, stays

NAMES = ("a1", "a2", "a3")
DAYS = ("2026-06-01", "2026-09-01", None)
activities = st.fixed_dictionaries({"activity_id": st.sampled_from(NAMES), "kind": st.just("call")})
SAID: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.one_of(
    st.tuples(st.just("deal.created"), st.just({"stage_id": "lead", "amount": "5"})),
    st.tuples(
        st.just("deal.stage_changed"), st.fixed_dictionaries({"stage_id": st.sampled_from([*B2B])})
    ),
    st.tuples(
        st.just("deal.updated"),
        st.sampled_from(DAYS).map(lambda day: {"changes": {"expected_close_date": day}}),
    ),
    st.tuples(
        st.just("deal.updated"),
        st.sampled_from(["x", None]).map(lambda to: {"changes": {"attributes.a": to}}),
    ),
    st.tuples(
        st.sampled_from(
            ["deal.won", "deal.lost", "deal.reopened", "deal.deleted", "deal.restored"]
        ),
        st.just({}),
    ),
    st.tuples(
        st.sampled_from([*DONE, "activity.scheduled", "activity.cancelled"]),
        activities,
    ),
)
LIVES = st.lists(SAID, min_size=1, max_size=12)


def life(said: Sequence[tuple[str, dict[str, Any]]]) -> list[FoldEvent]:
    return [ev(at, type_, "d", known=0, **data) for at, (type_, data) in enumerate(said)]


@given(LIVES, st.data())
def test_only_done_activities_count_again(
    said: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    events = life(said)
    again = data.draw(st.lists(st.sampled_from(events), max_size=6, unique_by=lambda e: e.id))
    told = [*events, *(replace(event, id=f"import-{event.id}") for event in again)]
    arrived = data.draw(st.permutations(told))
    for inputs in (defined(), UNDEFINED):
        before, after = state(events, inputs), state(arrived, inputs)
        assert after.facts == before.facts
        assert stays(arrived, inputs) == stays(events, inputs)
        more = sum(event.type in DONE for event in again)
        count = before.activity.activity_count + more
        assert after.activity == before.activity._replace(activity_count=count)


def test_an_activity_that_was_told_is_told_under_another_id() -> None:
    call = ev(1, "activity.logged", activity_id="2", kind="call")
    imported = replace(call, id="reconcile/activity/2/done", recorded_at=h(9))
    assert state([call, imported], defined()).activity.activity_count == 2
    planned = ev(0, "activity.scheduled", activity_id="2", scheduled_for=h(5).isoformat())
    again = replace(planned, id="reconcile/activity/2/planned", recorded_at=h(9))
    assert state([planned, again], defined()).activity.next_planned_at == h(5)
    assert state([planned, again, call], defined()).activity.next_planned_at is None
