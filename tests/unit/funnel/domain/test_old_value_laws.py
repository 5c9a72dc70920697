"""Laws of old values that sources claim: they are shown, and nothing follows from them."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts.events import DealStageChanged, DealUpdated
from services.funnel.domain.fold import GroupFold
from services.funnel.domain.model import FoldEvent
from services.funnel.domain.project import stream_of
from tests.unit.funnel.domain.history import UNDEFINED, ev, rows, stage
from tests.unit.funnel.domain.test_old_values import CREATED, moments

VALUES = st.sampled_from([None, "lead", "offer", "demo"])
HOURS = st.integers(1, 6)
MOVES = st.builds(
    lambda at, to, was: stage(at, to, from_stage_id=was),
    HOURS, st.sampled_from(["lead", "offer", "demo"]), VALUES,
)  # fmt: skip
EDITS = st.builds(
    lambda at, name, was: ev(at, "deal.updated", changes={"name": name}, previous={"name": was}),
    HOURS, VALUES, VALUES,
)  # fmt: skip
EVENTS = st.lists(MOVES | EDITS, max_size=8)


def unclaimed(event: FoldEvent) -> FoldEvent:
    match event.data:
        case DealStageChanged():
            return replace(event, data=event.data.model_copy(update={"from_stage_id": None}))
        case DealUpdated():
            return replace(event, data=event.data.model_copy(update={"previous": {}}))
    return event


@given(EVENTS, st.randoms())
def test_claims_change_nothing_of_a_deal_and_no_order_of_arrival_changes_them(
    events: list[FoldEvent], random: Random
) -> None:
    told = [CREATED, *events]
    with_claims, without = (rows(of, UNDEFINED) for of in (told, [*map(unclaimed, told)]))
    assert (with_claims.visits, with_claims.spans) == (without.visits, without.spans)
    assert with_claims.state == without.state
    shuffled = random.sample(told, len(told))
    assert moments(shuffled) == moments(told)


@given(EVENTS)
def test_a_claim_that_says_what_the_log_says_is_never_a_mismatch(events: list[FoldEvent]) -> None:
    """Rewritten so that each claims what the fold had, whatever that is."""
    told = [CREATED]
    for event in sorted(events, key=lambda one: one.order):
        told.append(replace(event, data=_claiming(event, _held(told))))
    assert not any(one.mismatch for moment in moments(told) for one in moment.old_values)


def _held(told: Sequence[FoldEvent]) -> dict[str, Any]:
    known = stream_of(told, UNDEFINED)
    fold = GroupFold(known, UNDEFINED.pipelines.as_known(None), "EUR")
    fold.extend(known)
    deal = fold.deals["d"]
    return {"name": deal.fields["name"], "stage_id": deal.stage_id}


def _claiming(event: FoldEvent, held: dict[str, Any]) -> Any:
    if isinstance(event.data, DealStageChanged):
        return event.data.model_copy(update={"from_stage_id": held["stage_id"]})
    return event.data.model_copy(update={"previous": {"name": held["name"]}})
