"""A deal's timeline from its group's stream."""

from collections.abc import Sequence
from typing import Any

from services.funnel.domain.fold import GroupFold
from services.funnel.domain.inputs import Inputs
from services.funnel.domain.model import FoldEvent
from services.funnel.domain.project import stream_of
from services.funnel.domain.timeline import Moment, timeline
from tests.unit.funnel.domain.history import UNDEFINED, ev, h, stage


def moments(
    events: Sequence[FoldEvent], deal: str = "d", at: float = 1000, inputs: Inputs = UNDEFINED
) -> list[Moment]:
    known = stream_of(events, inputs)
    return timeline(deal, known, h(at), GroupFold(known, inputs.pipelines.as_known(None), "EUR"))


def changed(moment: Moment) -> dict[tuple[str, str], tuple[Any, Any]]:
    return {(c.deal_id, c.field): (c.was, c.now) for c in moment.changes}


def test_each_event_is_one_moment_in_order() -> None:
    events = [stage(2, "offer"), ev(0, "deal.created"), ev(1, "activity.logged", activity_id="c",
                                                          kind="call")]  # fmt: skip
    told = moments(events)
    assert [m.event for m in told] == sorted(events, key=lambda e: e.order)
    assert [m.is_activity for m in told] == [False, True, False]
    assert not told[1].changes


def test_only_what_differs_is_a_change() -> None:
    created = ev(0, "deal.created", amount="5", attributes={"a": 1})
    updated = ev(1, "deal.updated", changes={"amount": "5", "attributes.a": True, "name": "N"})
    told = moments([created, updated])
    assert changed(told[1]) == {("d", "attributes.a"): (1, True), ("d", "name"): (None, "N")}


def test_it_ends_at_the_instant() -> None:
    events = [ev(0, "deal.created"), stage(2, "offer"), stage(3, "demo")]
    assert [m.event for m in moments(events, at=2)] == events[:2]
    assert moments(events, at=-1) == []


def test_before_a_merge_each_by_itself_and_from_it_on_the_union() -> None:
    survivor, merged = ev(0, "deal.created", "s"), ev(1, "deal.created", "m")
    merge = ev(4, "deal.merged", "s", merged_deal_ids=["m"])
    late = ev(6, "deal.won", "m")
    events = [survivor, merged, merge, late]
    assert [m.event for m in moments(events, "s", at=3)] == [survivor]
    assert [m.event for m in moments(events, "s")] == events
    assert [m.event for m in moments(events, "m")] == [merged, merge]
    assert {deal for deal, _ in changed(moments(events, "s")[3])} == {"s"}
    own = moments(events, "m")[1]
    assert changed(own)[("m", "merged_into")] == (None, "s")
    assert {deal for deal, _ in changed(own)} == {"m"}


def test_an_account_counts_where_it_changes_the_deal() -> None:
    north = ev(-1, "account.upserted", "a", region="north")
    south = ev(1, "account.upserted", "a", region="south")
    named = ev(2, "account.upserted", "a", name="A")
    created = ev(0, "deal.created", account_id="a")
    inputs = Inputs("EUR", context={("account", "a"): [north, south, named]})
    told = moments([created], inputs=inputs)
    assert [m.event for m in told] == [created, south]
    assert changed(told[1]) == {("d", "region"): ("north", "south")}


def test_a_deal_that_nothing_was_said_of_has_none() -> None:
    assert moments([ev(0, "deal.created")], "other") == []
