"""Merges: what counts for whom, before and after, whatever comes late and from wherever."""

from typing import Any

import pytest

from tests.integration.funnel.test_outbox_records import causes, hour
from tests.integration.funnel.write_rig import B2B, Rig, Said, h, said, stage

pytestmark = pytest.mark.postgres


def merge(at: float, survivor: str, *merged: str, **more: Any) -> Said:
    return said(at, "deal.merged", survivor, merged_deal_ids=list(merged), **more)


async def stays(rig: Rig, tenant: str, deal: str) -> list[tuple[Any, ...]]:
    rows = (await rig.rows(tenant))["visits"]
    return [
        (r[3], r[5], r[6], r[7]) for r in rows if r[0] == deal and r[13] == "infinity"
    ]  # fmt: skip


async def test_the_merged_deal_ends_in_its_survivor(rig: Rig) -> None:
    tenant = await rig.tenant()
    call = {"kind": "call", "direction": "outbound"}
    await rig.deliver(
        tenant, said(0, "deal.created", "s", stage_id="offer"),
        said(1, "deal.created", "m", stage_id="lead"),
        said(2, "activity.logged", "m", activity_id="x", **call),
        said(3, "activity.scheduled", "m", activity_id="y", scheduled_for="2026-03-09T09:00:00Z"),
        said(4, "activity.logged", "s", activity_id="z", **call),
    )  # fmt: skip
    event = merge(6, "s", "m")
    await rig.deliver(tenant, event)
    merged, survivor = await rig.deal(tenant, "m"), await rig.deal(tenant, "s")
    assert (merged["status"], merged["merged_into"]) == ("merged", "s")
    assert await stays(rig, tenant, "m") == [("lead", h(1), h(6), "merged")]
    assert await stays(rig, tenant, "s") == [("offer", h(0), None, None)]
    assert (survivor["activity_count"], survivor["first_activity_at"]) == (2, h(2))
    assert survivor["last_activity_at"] == h(4)
    assert survivor["next_planned_at"] == h(24 * 7)


async def test_both_have_a_record_and_the_tombstone_is_the_last_one(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", "s"), said(1, "deal.created", "m"))
    event = merge(6, "s", "m")
    await rig.deliver(tenant, event)
    told = (await rig.records_of(tenant))[2:]
    assert sorted(r.short for r in told) == [("m", 2, event.id, None), ("s", 2, event.id, None)]
    [tombstone] = [r for r in told if r.value["deal_id"] == "m"]
    state = tombstone.value["state"]
    assert (state["status"], state["merged_into"]) == ("merged", "s")
    assert tombstone.headers["ce_subject"] == "m"
    assert tombstone.key == f"{tenant}:m".encode()


async def test_later_events_of_the_merged_id_fold_as_the_survivors(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", "s", stage_id="lead"),
                      said(0, "deal.created", "m", stage_id="lead"),
                      merge(6, "s", "m"))  # fmt: skip
    moved = stage(8, "offer", "m")
    await rig.deliver(tenant, moved)
    assert (await rig.deal(tenant, "s"))["stage_id"] == "offer"
    assert (await rig.deal(tenant, "m"))["stage_id"] == "lead"
    last = (await rig.records_of(tenant))[-1]
    assert (last.value["deal_id"], last.value["cause"]["id"]) == ("s", moved.id)
    assert len(await rig.records_of(tenant, "m")) == 2


async def test_an_event_of_the_instant_of_the_merge_is_the_merged_deals_own(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", "s", stage_id="lead"),
                      said(0, "deal.created", "m", stage_id="lead"),
                      merge(6, "s", "m", id="e1"), stage(6, "offer", "m", id="e2"))  # fmt: skip
    assert (await rig.deal(tenant, "s"))["stage_id"] == "lead"
    assert (await rig.deal(tenant, "m"))["stage_id"] == "offer"


async def test_a_late_event_from_before_the_merge_is_the_merged_deals_own(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", "s", stage_id="lead"),
                      said(0, "deal.created", "m", stage_id="lead"),
                      merge(6, "s", "m"))  # fmt: skip
    late = stage(3, "offer", "m", known=9)
    await rig.deliver(tenant, late)
    assert await stays(rig, tenant, "m") == [
        ("lead", h(0), h(3), "left"), ("offer", h(3), h(6), "merged"),
    ]  # fmt: skip
    assert await stays(rig, tenant, "s") == [("lead", h(0), None, None)]
    assert (await rig.records_of(tenant))[-1].short == ("m", 3, late.id, hour(3))


async def test_a_late_activity_from_before_the_merge_counts_for_both(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", "s"), said(0, "deal.created", "m"),
                      merge(6, "s", "m"))  # fmt: skip
    late = said(3, "activity.logged", "m", activity_id="x", kind="call", known=9)
    await rig.deliver(tenant, late)
    told = (await rig.records_of(tenant))[-2:]
    assert sorted(r.short[0] for r in told) == ["m", "s"]
    assert causes(told) == [late.id, late.id]
    assert (await rig.deal(tenant, "s"))["activity_count"] == 1


async def test_a_merge_that_closes_a_cycle_is_a_conflict(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", "a"), said(0, "deal.created", "b"),
                      said(0, "deal.created", "c"),
                      merge(1, "b", "a"), merge(2, "c", "b"))  # fmt: skip
    before = await rig.rows(tenant)
    [buried] = await rig.deliver(tenant, merge(3, "a", "c"))
    assert buried.code == "conflict"
    after = await rig.rows(tenant)
    assert [r[:3] for r in after["visits"]] == [r[:3] for r in before["visits"]]
    states = {row[0]: (row[1], row[25]) for row in after["deals"]}
    assert states == {"a": ("merged", "b"), "b": ("merged", "c"), "c": ("open", None)}


async def test_two_merges_of_one_instant_against_each_other(rig: Rig) -> None:
    """The one that comes first in the total order counts, whichever is delivered first."""
    tenant = await rig.tenant()
    one, other = merge(2, "b", "a", id="e1"), merge(2, "a", "b", id="e2")
    assert [b.code for b in await rig.deliver(tenant, other, one)] == ["conflict"]
    assert (await rig.deal(tenant, "a"))["merged_into"] == "b"
    assert (await rig.deal(tenant, "b"))["status"] == "open"


async def test_a_deal_merged_into_itself_is_a_conflict(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", "a"))
    assert [b.code for b in await rig.deliver(tenant, merge(1, "a", "a"))] == ["conflict"]
    assert (await rig.deal(tenant, "a"))["status"] == "open"


async def test_a_late_first_merge_takes_the_place_of_the_second(rig: Rig) -> None:
    """`m` went to `a` at 2, though what came first says `b` at 4."""
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", "m"), merge(4, "b", "m"))
    assert (await rig.deal(tenant, "m"))["merged_into"] == "b"
    assert not await rig.deliver(tenant, merge(2, "a", "m", known=9))
    assert (await rig.deal(tenant, "m"))["merged_into"] == "a"


async def test_deals_that_nobody_spoke_of_can_be_merged(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, merge(4, "s", "m1", "m2"))
    assert {(await rig.deal(tenant, d))["status"] for d in ("m1", "m2")} == {"merged"}
    await rig.deliver(tenant, said(1, "deal.created", "m1", stage_id="lead", known=9))
    assert await stays(rig, tenant, "m1") == [("lead", h(1), h(4), "merged")]


async def test_a_chain_of_merges_follows_to_its_end(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.pipeline(tenant, *B2B)
    await rig.deliver(tenant, *(said(0, "deal.created", d) for d in "abc"),
                      merge(1, "b", "a"), merge(2, "c", "b"))  # fmt: skip
    await rig.deliver(tenant, said(3, "deal.won", "a"))
    assert [(await rig.deal(tenant, d))["status"] for d in "abc"] == ["merged", "merged", "won"]
    groups = (await rig.rows(tenant))["groups"]
    assert groups == [("a", "a"), ("b", "a"), ("c", "a")]
