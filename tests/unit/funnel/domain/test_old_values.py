"""What a source claims of the time before, beside what our own log had there."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from services.funnel.domain.fold import GroupFold
from services.funnel.domain.inputs import Inputs
from services.funnel.domain.model import FoldEvent
from services.funnel.domain.old_values import OldValue
from services.funnel.domain.project import stream_of
from services.funnel.domain.timeline import Moment, timeline
from tests.unit.funnel.domain.history import UNDEFINED, defined, ev, h, stage

CREATED = ev(0, "deal.created", stage_id="lead", amount="5", name="Nine", attributes={"n": 1})


def moments(
    events: Sequence[FoldEvent], inputs: Inputs = UNDEFINED, deal: str = "d"
) -> list[Moment]:
    known = stream_of(events, inputs)
    fold = GroupFold(known, inputs.pipelines.as_known(None), "EUR")
    return timeline(deal, known, h(1000), fold)


def claims(*events: FoldEvent, inputs: Inputs = UNDEFINED) -> list[OldValue]:
    """Those of the last event."""
    return list(moments(events, inputs)[-1].old_values)


def updated(at: float, previous: dict[str, Any], **changes: Any) -> FoldEvent:
    return ev(at, "deal.updated", changes=changes, previous=previous)


def test_a_stage_that_the_deal_was_not_in_is_a_mismatch() -> None:
    moved = stage(1, "offer", from_stage_id="demo")
    assert claims(CREATED, moved) == [OldValue("stage_id", "demo", "lead", mismatch=True)]


def test_the_stage_that_the_deal_was_in_is_none() -> None:
    moved = stage(1, "offer", from_stage_id="lead")
    assert claims(CREATED, moved) == [OldValue("stage_id", "lead", "lead", mismatch=False)]


def test_without_a_claim_there_is_nothing() -> None:
    assert [moment.old_values for moment in moments([CREATED, stage(1, "offer")])] == [(), ()]


@pytest.mark.parametrize(
    ("name", "claimed", "shown", "held", "mismatch"),
    [
        ("amount", "5.00", Decimal("5.00"), Decimal(5), False),
        ("amount", "6", Decimal(6), Decimal(5), True),
        ("amount", None, None, Decimal(5), True),
        ("name", "Ten", "Ten", "Nine", True),
        ("owner_id", None, None, None, False),
        ("owner_id", "u-1", "u-1", None, True),
        ("expected_close_date", "2026-05-01", date(2026, 5, 1), None, True),
        ("attributes.n", 1, 1, 1, False),
        ("attributes.n", True, True, 1, True),
        ("attributes.m", None, None, None, False),
    ],
)
def test_fields_are_compared_as_what_they_are(
    name: str, claimed: Any, shown: Any, held: Any, mismatch: bool
) -> None:
    told = claims(CREATED, updated(1, {name: claimed}, **{name: None}))
    assert told == [OldValue(name, shown, held, mismatch)]


def test_what_cannot_be_read_as_the_field_is_shown_as_it_came_and_differs() -> None:
    told = claims(CREATED, updated(1, {"amount": "-5"}, amount="7"))
    assert told == [OldValue("amount", "-5", Decimal(5), mismatch=True)]


def test_what_is_no_field_of_a_deal_is_left_out() -> None:
    assert claims(CREATED, updated(1, {"probability": 3, "attributes.": 1}, name="N")) == []


def test_of_several_fields_each_is_judged() -> None:
    told = claims(CREATED, updated(1, {"name": "Nine", "amount": "4"}, name="N", amount="7"))
    assert [(one.field, one.mismatch) for one in told] == [("amount", True), ("name", False)]


def test_a_log_that_says_nothing_of_a_field_contradicts_nothing() -> None:
    """A subscription may begin long after the deal."""
    first = updated(1, {"name": "Old", "amount": "3"}, name="New", amount="4")
    assert not any(one.mismatch for one in claims(first))
    assert not any(
        one.mismatch for one in claims(first, updated(2, {"owner_id": "u"}, owner_id="v"))
    )
    assert [one.mismatch for one in claims(first, updated(2, {"name": "Old"}, name="Nova"))] == [
        True
    ]


def test_a_field_that_was_cleared_is_known_to_be_empty() -> None:
    told = claims(updated(1, {}, name=None), updated(2, {"name": "Old"}, name="New"))
    assert told == [OldValue("name", "Old", None, mismatch=True)]


def test_the_value_of_an_account_is_not_the_deals_own() -> None:
    north = ev(-1, "account.upserted", "a", region="north")
    inputs = Inputs("EUR", context={("account", "a"): [north]})
    created = ev(0, "deal.created", account_id="a")
    told = moments([created, updated(1, {"region": None}, region="south")], inputs)[-1].old_values
    assert list(told) == [OldValue("region", None, None, mismatch=False)]


def test_a_change_that_is_told_twice_is_compared_with_the_time_before_it() -> None:
    """A connector may tell a move at its own time, and the whole record at that of the edit."""
    moved = stage(1, "offer", from_stage_id="lead")
    again = updated(2, {"stage_id": "lead"}, stage_id="offer")
    assert claims(CREATED, moved, again) == [OldValue("stage_id", "lead", "lead", mismatch=False)]
    wrong = stage(1, "offer", from_stage_id="demo")
    again = stage(2, "offer", from_stage_id="demo")
    assert claims(CREATED, wrong, again) == [OldValue("stage_id", "demo", "lead", mismatch=True)]


def test_the_same_claim_after_a_move_away_is_a_mismatch() -> None:
    moved, back = stage(1, "offer", from_stage_id="lead"), stage(2, "demo", from_stage_id="offer")
    again = stage(3, "offer", from_stage_id="lead")
    told = claims(CREATED, moved, back, again)
    assert told == [OldValue("stage_id", "lead", "demo", mismatch=True)]


def test_a_closed_deal_may_be_claimed_to_stand_where_it_was_closed() -> None:
    """Some CRMs keep the stage of a deal that is won; ours stands in a closing one."""
    inputs, won = defined(), ev(1, "deal.won")
    for claimed, mismatch in (("lead", False), ("signed", False), ("offer", True)):
        told = claims(CREATED, won, stage(2, "offer", from_stage_id=claimed), inputs=inputs)
        assert told == [OldValue("stage_id", claimed, "signed", mismatch)], claimed


def test_a_late_event_settles_a_mismatch() -> None:
    moved = stage(2, "offer", from_stage_id="demo")
    late = stage(1, "demo", known=5)
    assert claims(CREATED, moved)[0].mismatch
    assert not claims(CREATED, moved, late)[0].mismatch


def test_what_was_merged_away_is_compared_with_the_deal_that_it_counts_for() -> None:
    merge = ev(1, "deal.merged", "d", merged_deal_ids=["m"])
    other = ev(0, "deal.created", "m", stage_id="demo")
    told = claims(CREATED, other, merge, stage(2, "offer", "m", from_stage_id="lead"))
    assert told == [OldValue("stage_id", "lead", "lead", mismatch=False)]
