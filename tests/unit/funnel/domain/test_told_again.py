"""What is told again under another event id: states are what they were. Done activities count once
more, unless it is a reconciliation that tells them (docs/connectors.md)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs.common.activities import DONE
from libs.common.contracts.events import ActivityData
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


@given(LIVES, st.data())
def test_what_a_reconciliation_tells_again_changes_nothing(
    said: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    events = life(said)
    again = data.draw(st.lists(st.sampled_from(events), max_size=6, unique_by=lambda e: e.id))
    told = [replace(event, id=f"import-{event.id}", reconciled=True) for event in again]
    arrived = data.draw(st.permutations([*events, *told]))
    for inputs in (defined(), UNDEFINED):
        before, after = state(events, inputs), state(arrived, inputs)
        assert (after.facts, after.activity) == (before.facts, before.activity)


DONE_ONES = st.builds(
    lambda at, type_, name, retold: replace(
        ev(at, type_, activity_id=name, kind="call"), reconciled=retold
    ),
    st.integers(0, 5), st.sampled_from(DONE), st.sampled_from(NAMES), st.booleans(),
)  # fmt: skip


@given(st.lists(DONE_ONES, min_size=1, max_size=10), st.data())
def test_what_only_reconciliations_tell_counts_once(
    events: list[FoldEvent], data: st.DataObject
) -> None:
    """Whatever the order and the times at which it is told."""
    told = [_name(event) for event in events if not event.reconciled]
    retold = {_name(event) for event in events if event.reconciled}
    arrived = data.draw(st.permutations(events))
    after = state(arrived, UNDEFINED)
    assert after == state(events, UNDEFINED)
    assert after.activity.activity_count == len(told) + len(retold - set(told))


def _name(event: FoldEvent) -> str:
    assert isinstance(event.data, ActivityData)
    return event.data.activity_id


def test_a_merge_counts_what_was_told_of_both_deals_once() -> None:
    """The CRM shows the activities of the merged deal as the survivor's."""
    call = ev(1, "activity.logged", "m", activity_id="2", kind="call")
    shown = replace(ev(1, "activity.logged", activity_id="2", kind="call"), reconciled=True)
    merge = ev(3, "deal.merged", merged_deal_ids=["m"])
    assert state([call, shown, merge], UNDEFINED).activity.activity_count == 1
    assert state([shown, merge], UNDEFINED).activity.activity_count == 1


def test_a_delivery_that_comes_after_the_import_takes_its_place() -> None:
    imported = replace(ev(1, "activity.logged", activity_id="2", kind="call"), reconciled=True)
    late = ev(2, "activity.completed", activity_id="2", kind="meeting")
    activity = state([imported, late], UNDEFINED).activity
    assert (activity.activity_count, activity.last_activity_kind) == (1, "meeting")


def test_an_activity_that_was_told_is_told_under_another_id() -> None:
    call = ev(1, "activity.logged", activity_id="2", kind="call")
    imported = replace(call, id="reconcile/activity/2/done", recorded_at=h(9))
    assert state([call, imported], defined()).activity.activity_count == 2
    retold = replace(imported, reconciled=True)
    assert state([call, retold], defined()).activity.activity_count == 1
    planned = ev(0, "activity.scheduled", activity_id="2", scheduled_for=h(5).isoformat())
    again = replace(planned, id="reconcile/activity/2/planned", recorded_at=h(9))
    assert state([planned, again], defined()).activity.next_planned_at == h(5)
    assert state([planned, again, call], defined()).activity.next_planned_at is None
