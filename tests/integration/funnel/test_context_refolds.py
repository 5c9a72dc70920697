"""Accounts, owners and pipelines that change: their deals are folded anew, and only what is another
is published."""

import pytest

from tests.integration.funnel.test_outbox_records import causes, hour
from tests.integration.funnel.write_rig import B2B, Rig, h, said, stage

pytestmark = pytest.mark.postgres


async def queued(rig: Rig, tenant: str) -> list[str]:
    rows = await rig.hand.fetch(
        "SELECT deal_id FROM funnel.refold_queue WHERE tenant_id = $1 ORDER BY ticket", tenant
    )
    return [row[0] for row in rows]


async def regions(rig: Rig, tenant: str, deal: str = "d") -> list[tuple[str | None, object]]:
    """The deal's regions as held today, each with its beginning."""
    rows = await rig.hand.fetch(
        """SELECT region, valid_from FROM funnel.deal_history
        WHERE tenant_id = $1 AND deal_id = $2 AND known_to = 'infinity' ORDER BY n""",
        tenant, deal,
    )  # fmt: skip
    return [tuple(row) for row in rows]


async def test_an_account_change_is_one_record_per_altered_deal(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(
        tenant, said(-5, "account.upserted", "a", region="north"),
        said(0, "deal.created", "d1", account_id="a"),
        said(0, "deal.created", "d2", account_id="a"),
        said(0, "deal.created", "d3", account_id="a", region="own"),
        said(0, "deal.created", "d4", account_id="b"),
    )  # fmt: skip
    before = await rig.records_of(tenant)
    moved = said(10, "account.upserted", "a", region="south")
    await rig.deliver(tenant, moved)
    assert await queued(rig, tenant) == ["d1", "d2", "d3"]
    await rig.drain()
    assert await queued(rig, tenant) == []
    told = (await rig.records_of(tenant))[len(before) :]
    assert [r.short for r in told] == [("d1", 2, moved.id, None), ("d2", 2, moved.id, None)]
    assert told[0].value["changed"] == {"region": {"from": "north", "to": "south"}}
    assert told[0].value["cause"]["data"] == moved.data
    assert await regions(rig, tenant, "d1") == [("north", h(0)), ("south", h(10))]


async def test_each_of_two_changes_drained_together_has_its_record(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", account_id="a"))
    changes = [said(n, "account.upserted", "a", region=f"r{n}") for n in (2, 3)]
    await rig.deliver(tenant, *changes)
    await rig.drain()
    told = (await rig.records_of(tenant))[1:]
    assert causes(told) == [event.id for event in changes]
    assert [r.value["state"]["region"] for r in told] == ["r2", "r3"]
    assert [r.value["corrected"] for r in told] == [False, False]


async def test_an_account_that_says_the_same_again_publishes_nothing(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(-1, "account.upserted", "a", region="north"),
                      said(0, "deal.created", account_id="a"))  # fmt: skip
    await rig.deliver(tenant, said(5, "account.upserted", "a", region="north", name="Same"))
    await rig.drain()
    assert len(await rig.records_of(tenant)) == 1


async def test_a_late_account_corrects_the_past(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", account_id="a"), stage(8, "offer"))
    late = said(4, "account.upserted", "a", region="north", known=20)
    await rig.deliver(tenant, late)
    await rig.drain()
    assert (await rig.records_of(tenant))[-1].short == ("d", 3, late.id, hour(4))
    assert await regions(rig, tenant) == [(None, h(0)), ("north", h(4)), ("north", h(8))]


async def test_a_change_of_the_past_alone_is_published_too(rig: Rig) -> None:
    """The region between 4 and 8 was another than we thought; today's is not touched."""
    tenant = await rig.tenant()
    await rig.deliver(
        tenant, said(-1, "account.upserted", "a", region="north"),
        said(0, "deal.created", account_id="a"),
        said(8, "account.upserted", "a", region="south"),
    )  # fmt: skip
    await rig.drain()
    before = len(await rig.records_of(tenant))
    late = said(4, "account.upserted", "a", region="west", known=20)
    await rig.deliver(tenant, late)
    await rig.drain()
    told = (await rig.records_of(tenant))[before:]
    assert [(r.value["cause"]["id"], r.value["corrected_from"]) for r in told] == [
        (late.id, hour(4))
    ]
    assert await regions(rig, tenant) == [("north", h(0)), ("west", h(4)), ("south", h(8))]


async def test_an_owner_brings_the_team_and_a_new_owner_another(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "user.upserted", "u", team_id="t1"),
                      said(0, "user.upserted", "v", team_id="t2"),
                      said(1, "deal.created", owner_id="u"))  # fmt: skip
    await rig.deliver(tenant, said(2, "deal.updated", changes={"owner_id": "v"}))
    assert (await rig.deal(tenant))["team_id"] == "t2"
    await rig.deliver(tenant, said(3, "user.upserted", "u", team_id="t9"))
    await rig.drain()
    assert (await rig.deal(tenant))["team_id"] == "t2"
    await rig.deliver(tenant, said(4, "user.upserted", "v", team_id="t8"))
    await rig.drain()
    assert (await rig.deal(tenant))["team_id"] == "t8"


async def test_teams_and_leads_have_histories_and_alter_no_deal(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", team_id="t", owner_id="u"))
    await rig.deliver(tenant, said(1, "team.upserted", "t", name="One"),
                      said(2, "lead.created", "l"), said(3, "lead.qualified", "l"),
                      said(4, "lead.assigned", "l", known=9))  # fmt: skip
    assert await queued(rig, tenant) == []
    rows = (await rig.rows(tenant))["contexts"]
    assert [(r[0], r[1], r[2], r[3]) for r in rows if r[6] == "infinity"] == [
        ("lead", "l", 1, h(2)), ("lead", "l", 2, h(3)), ("lead", "l", 3, h(4)),
        ("team", "t", 1, h(1)),
    ]  # fmt: skip


async def test_the_drain_holds_the_queue_until_its_rows_are_written(rig: Rig) -> None:
    """A crash between folding and commit loses nothing: the tickets are still there."""
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", account_id="a"))
    await rig.deliver(tenant, said(1, "account.upserted", "a", region="north"))
    with pytest.raises(RuntimeError, match="dies"):
        async with rig.database.across_tenants() as tx:
            store = rig.handler._store_of(tx)
            tickets = await store.claim_refolds(10)  # type: ignore[attr-defined]
            await store.finish_refolds(tickets)  # type: ignore[attr-defined]
            raise RuntimeError("dies")
    assert await queued(rig, tenant) == ["d"]
    await rig.drain()
    assert (await rig.deal(tenant))["region"] == "north"


async def test_another_class_of_a_stage_folds_its_deals_anew(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.pipeline(tenant, *B2B)
    await rig.deliver(tenant, said(0, "deal.created", "d1"), stage(2, "offer", "d1"))
    await rig.deliver(tenant, said(0, "deal.created", "d2"))
    await rig.deliver(tenant, said(0, "deal.created", "d3", pipeline_id="other"))
    changed = (("lead", "open"), ("offer", "won"), ("gone", "lost"))
    assert await rig.pipeline(tenant, *changed, at=100, version=2) == 2
    before = len(await rig.records_of(tenant))
    await rig.drain()
    told = (await rig.records_of(tenant))[before:]
    assert [(r.short[0], r.short[3], r.value["cause"]["type"]) for r in told] == [
        ("d1", hour(0), "pipeline.published")
    ]
    deal = await rig.deal(tenant, "d1")
    assert (deal["status"], deal["closed_at"]) == ("won", h(2))
    visits = [(r[3], r[4], r[7], r[12]) for r in (await rig.rows(tenant))["visits"] if r[0] == "d1"]
    assert ("offer", "open", None, h(2)) in visits, "what was held before its publication stays"
    assert ("offer", "won", None, h(100)) in visits


async def test_a_class_that_alters_the_past_alone_is_published(rig: Rig) -> None:
    """The deal left the stage long ago; it closed and was reopened in between, as we know now."""
    tenant = await rig.tenant()
    await rig.pipeline(tenant, *B2B)
    await rig.deliver(tenant, said(0, "deal.created"), stage(2, "offer"), said(4, "deal.won"))
    await rig.pipeline(tenant, ("lead", "won"), *B2B[1:], at=100, version=2)
    before = len(await rig.records_of(tenant))
    await rig.drain()
    assert len(await rig.records_of(tenant)) == before + 1


async def test_stages_nobody_published_are_discovered_at_their_earliest_entry(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(5, "deal.created", "d1", stage_id="x"))
    await rig.deliver(
        tenant, said(3, "deal.created", "d2", stage_id="x"), said(7, "deal.won", "d2")
    )
    assert (await rig.rows(tenant))["stages"] == [
        ("default", "won", "discovered", "won", "won", h(7)),
        ("default", "x", "discovered", "x", "open", h(3)),
    ]


async def test_a_discovered_stage_that_was_taken_back_is_looked_for_again(rig: Rig) -> None:
    """The first naming of a pipeline moves the deal's whole past: its first stage was never in the
    default pipeline, as far as today's rows of the same known instant go."""
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(3, "deal.created", "d1", stage_id="x", known=9))
    await rig.deliver(tenant, said(5, "deal.created", "d2", stage_id="x", known=9))
    await rig.deliver(tenant, stage(6, "y", "d1", pipeline_id="b2b", known=9))
    stages = {(r[0], r[1]): r[5] for r in (await rig.rows(tenant))["stages"]}
    assert stages == {("default", "x"): h(5), ("b2b", "x"): h(3), ("b2b", "y"): h(6)}
    await rig.deliver(tenant, stage(7, "z", "d2", pipeline_id="b2b", known=9))
    stages = {(r[0], r[1]): r[5] for r in (await rig.rows(tenant))["stages"]}
    assert set(stages) == {("b2b", "x"), ("b2b", "y"), ("b2b", "z")}


async def test_a_published_stage_forgets_an_entry_that_was_taken_back(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(3, "deal.created", stage_id="x", known=9))
    await rig.hand.execute(
        "UPDATE funnel.stages SET state = 'published', position = 1 WHERE tenant_id = $1", tenant
    )
    await rig.deliver(tenant, stage(6, "y", pipeline_id="b2b", known=9))
    stages = {(r[0], r[1]): r[5] for r in (await rig.rows(tenant))["stages"]}
    assert stages["default", "x"] is None
