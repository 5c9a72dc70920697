"""Scripted stories, each against what a reader of the specification would write down by hand."""

from typing import Any

import pytest

from tests.integration.funnel.write_rig import B2B, Rig, h, said, stage

pytestmark = pytest.mark.postgres
SOON = "2026-03-03T09:00:00Z"


async def stays(rig: Rig, tenant: str, deal: str = "d") -> list[tuple[Any, ...]]:
    """Visits as known today: stage, hour in, hour out, exit."""
    rows = (await rig.rows(tenant))["visits"]
    return [
        (r[3], _hour(r[5]), _hour(r[6]), r[7]) for r in rows if r[0] == deal and r[13] == "infinity"
    ]


def _hour(at: Any) -> float | None:
    return None if at is None else (at - h(0)).total_seconds() / 3600


async def test_a_deal_walks_through_its_stages(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.pipeline(tenant, *B2B)
    await rig.deliver(
        tenant, said(0, "deal.created", amount="12.5"), stage(2, "offer"), said(5, "deal.won")
    )
    assert await stays(rig, tenant) == [
        ("lead", 0, 2, "left"), ("offer", 2, 5, "won"), ("signed", 5, None, None),
    ]  # fmt: skip
    deal = await rig.deal(tenant)
    assert (deal["status"], deal["stage_id"], deal["closed_at"], deal["life"], deal["version"]) == (
        "won", "signed", h(5), 1, 3,
    )  # fmt: skip
    assert (str(deal["amount"]), deal["currency"]) == ("12.500000", "EUR")


async def test_reopened_is_a_new_life_in_the_last_open_stage(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.pipeline(tenant, *B2B)
    events = [said(0, "deal.created"), stage(1, "offer"), said(2, "deal.lost", reason_code="price"),
              said(4, "deal.reopened")]  # fmt: skip
    for event in events:
        await rig.deliver(tenant, event)
    assert [s[0] for s in await stays(rig, tenant)] == ["lead", "offer", "gone", "offer"]
    deal = await rig.deal(tenant)
    assert (deal["status"], deal["life"], deal["closed_at"], deal["lost_reason"]) == (
        "open", 2, None, None,
    )  # fmt: skip


async def test_deleted_and_restored_is_as_if_nothing_had_happened_to_the_stages(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", stage_id="offer"), said(3, "deal.deleted"))
    assert await stays(rig, tenant) == [("offer", 0, 3, "deleted")]
    assert (await rig.deal(tenant))["status"] == "deleted"
    await rig.deliver(tenant, said(5, "deal.restored"))
    assert await stays(rig, tenant) == [("offer", 0, None, None)]
    deal = await rig.deal(tenant)
    assert (deal["status"], deal["stage_entered_at"]) == ("open", h(0))
    spans = [r for r in (await rig.rows(tenant))["history"] if r[-1] == "infinity"]
    assert [r[2] for r in spans] == ["open", "deleted", "open"]


async def test_a_move_to_another_pipeline_is_neither_lost_nor_advanced(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.pipeline(tenant, ("r1", "open"), ("r2", "won"), pipeline_id="renewal")
    await rig.deliver(tenant, said(0, "deal.created", stage_id="lead", pipeline_id="b2b"))
    await rig.deliver(tenant, said(3, "deal.updated", changes={"pipeline_id": "renewal"}))
    assert await stays(rig, tenant) == [("lead", 0, 3, "moved"), ("r1", 3, None, None)]
    assert (await rig.deal(tenant))["pipeline_id"] == "renewal"


async def test_the_first_naming_of_a_pipeline_is_a_correction_and_no_move(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", stage_id="lead"))
    await rig.deliver(tenant, stage(4, "offer", pipeline_id="b2b"))
    assert await stays(rig, tenant) == [("lead", 0, 4, "left"), ("offer", 4, None, None)]
    spans = [r for r in (await rig.rows(tenant))["history"] if r[-1] == "infinity"]
    assert {r[3] for r in spans} == {"b2b"}
    assert (await rig.records_of(tenant))[-1].value["corrected_from"] == "2026-03-02T09:00:00Z"


async def test_a_late_event_changes_the_past_and_what_was_known_stays_known(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", stage_id="lead"), stage(10, "offer"))
    await rig.deliver(tenant, stage(5, "demo", known=20))
    assert await stays(rig, tenant) == [
        ("lead", 0, 5, "left"), ("demo", 5, 10, "left"), ("offer", 10, None, None),
    ]  # fmt: skip
    visits = (await rig.rows(tenant))["visits"]
    before = [(r[3], _hour(r[5]), _hour(r[6])) for r in visits
              if r[12] <= h(19) and (r[13] == "infinity" or r[13] > str(h(19)))]  # fmt: skip
    assert before == [("lead", 0, 10), ("offer", 10, None)]


async def test_a_dimension_is_the_deals_own_else_its_accounts(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(
        tenant,
        said(-5, "account.upserted", "a", region="north", industry="steel"),
        said(-5, "user.upserted", "u", team_id="t1"),
        said(0, "deal.created", account_id="a", owner_id="u", industry="paper"),
    )
    deal = await rig.deal(tenant)
    assert (deal["region"], deal["industry"], deal["team_id"]) == ("north", "paper", "t1")


async def test_activities_are_counted_and_never_reopen(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.pipeline(tenant, *B2B)
    call = {"activity_id": "x", "kind": "call"}
    await rig.deliver(
        tenant, said(0, "deal.created"), said(1, "activity.scheduled", **call, scheduled_for=SOON),
        said(2, "deal.lost"), said(3, "activity.completed", **call),
        said(4, "activity.logged", activity_id="n", kind="note"),
    )  # fmt: skip
    deal = await rig.deal(tenant)
    assert (deal["status"], deal["activity_count"], deal["last_activity_kind"]) == (
        "lost",
        2,
        "note",
    )
    assert (deal["first_activity_at"], deal["last_customer_touch_at"]) == (h(3), h(3))
    assert deal["next_planned_at"] is None


async def test_a_batch_that_fails_leaves_nothing(rig: Rig) -> None:
    tenant = await rig.tenant()
    with pytest.raises(RuntimeError):
        async with rig.database.across_tenants() as tx:
            await rig.handler.handle(tx, rig.records(tenant, [said(0, "deal.created")]))
            raise RuntimeError("the process dies before its commit")
    assert not any((await rig.rows(tenant, 1)).values())
    assert await rig.records_of(tenant) == []


async def test_tenants_with_the_same_ids_keep_apart(rig: Rig) -> None:
    one, two = await rig.tenant(), await rig.tenant()
    event = said(0, "deal.created", stage_id="lead", id="same")
    other = event.again(data={"deal_id": "d", "stage_id": "offer"})
    assert not await rig.handle([*rig.records(one, [event]), *rig.records(two, [other])])
    assert (await rig.deal(one))["stage_id"] == "lead"
    assert (await rig.deal(two))["stage_id"] == "offer"
