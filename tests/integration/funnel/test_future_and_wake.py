"""Events that lie ahead: kept, in history only, and told when their time has come."""

import asyncio
from datetime import timedelta

import pytest

from services.funnel.app.projector import SKEW
from tests.integration.funnel.test_outbox_records import causes
from tests.integration.funnel.write_rig import B2B, NOW, Rig, h, said, stage

pytestmark = pytest.mark.postgres
N = 1000
"""Now, in hours."""


def forward(rig: Rig, hours: float) -> None:
    rig.clock.advance(timedelta(hours=hours))


async def test_the_state_is_as_of_now_and_history_has_it_all(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.pipeline(tenant, *B2B)
    ahead = stage(N + 5, "offer", known=N)
    await rig.deliver(tenant, said(0, "deal.created"), ahead)
    deal = await rig.deal(tenant)
    assert (deal["stage_id"], deal["last_event_at"], deal["wake_at"]) == ("lead", h(0), h(N + 5))
    visits = (await rig.rows(tenant))["visits"]
    assert [(r[3], r[5]) for r in visits if r[13] == "infinity"] == [
        ("lead", h(0)), ("offer", h(N + 5)),
    ]  # fmt: skip
    assert len(await rig.records_of(tenant)) == 1


async def test_a_deal_whose_events_all_lie_ahead_is_not_there_yet(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(N + 5, "deal.created", known=N, stage_id="lead"))
    deal = await rig.deal(tenant)
    assert (deal["status"], deal["version"], deal["wake_at"]) == (None, 0, h(N + 5))
    assert await rig.records_of(tenant) == []
    assert len((await rig.rows(tenant))["history"]) == 1


async def test_the_published_view_shows_no_deal_that_is_not_there_yet(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(N + 5, "deal.created", "later", known=N),
                      said(0, "deal.created", "now"))  # fmt: skip
    async with rig.hand.transaction():
        await rig.hand.execute("SELECT set_config('app.tenant', $1, true)", tenant)
        rows = await rig.hand.fetch("SELECT deal_id FROM funnel_api.deals_v1")
    assert [row[0] for row in rows] == ["now"]


async def test_when_now_passes_them_each_has_one_record(rig: Rig) -> None:
    tenant = await rig.tenant()
    events = [said(0, "deal.created", stage_id="lead"), stage(N + 5, "offer", known=N),
              said(N + 6, "deal.won", known=N), stage(N + 50, "later", known=N)]  # fmt: skip
    await rig.deliver(tenant, *events)
    await rig.wake()
    assert len(await rig.records_of(tenant)) == 1
    forward(rig, 10)
    await rig.wake()
    await rig.wake()
    records = await rig.records_of(tenant)
    assert [r.short for r in records] == [("d", n, e.id, None) for n, e in enumerate(events[:3], 1)]
    deal = await rig.deal(tenant)
    assert (deal["status"], deal["version"], deal["wake_at"]) == ("won", 3, h(N + 50))


async def test_an_hour_that_passes_without_anything_due_writes_nothing(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created"), stage(N + 5, "offer", known=N))
    forward(rig, 3)
    assert not await rig.refolds.wake()


async def test_a_clock_that_is_a_little_ahead_of_ours_counts_as_now(rig: Rig) -> None:
    tenant = await rig.tenant()
    skew = SKEW.total_seconds() / 3600
    await rig.deliver(tenant, said(N + skew, "deal.created", "just"),
                      said(N + skew + 0.001, "deal.created", "beyond"))  # fmt: skip
    assert (await rig.deal(tenant, "just"))["status"] == "open"
    assert (await rig.deal(tenant, "beyond"))["status"] is None


async def test_an_event_of_now_takes_along_what_has_come_due(rig: Rig) -> None:
    """Nobody has rung the alarm yet: the batch publishes both, in fold order."""
    tenant = await rig.tenant()
    due = stage(N + 5, "offer", known=N)
    await rig.deliver(tenant, said(0, "deal.created", stage_id="lead"), due)
    forward(rig, 10)
    fresh = said(N + 7, "deal.won", known=N + 7)
    await rig.deliver(tenant, fresh)
    await rig.wake()
    records = (await rig.records_of(tenant))[1:]
    assert [r.short for r in records] == [("d", 2, due.id, None), ("d", 3, fresh.id, None)]


async def test_an_event_before_what_lies_ahead_is_no_late_one(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created"), stage(N + 5, "offer", known=N))
    before = stage(N, "demo", known=N)
    await rig.deliver(tenant, before)
    assert [r.short for r in await rig.records_of(tenant)][-1] == ("d", 2, before.id, None)


async def test_an_account_of_the_future_alters_its_deals_then(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", account_id="a"))
    moved = said(N + 5, "account.upserted", "a", region="south", known=N)
    await rig.deliver(tenant, moved)
    await rig.drain()
    assert (await rig.deal(tenant))["region"] is None
    assert len(await rig.records_of(tenant)) == 1
    forward(rig, 10)
    await rig.wake()
    record = (await rig.records_of(tenant))[-1]
    assert record.short == ("d", 2, moved.id, None)
    assert record.value["changed"] == {"region": {"from": None, "to": "south"}}
    assert record.value["cause"]["data"] == moved.data


async def test_backfilled_events_of_the_future_are_one_record_when_they_come(rig: Rig) -> None:
    tenant = await rig.tenant()
    events = [stage(N + n, f"s{n}", known=N, origin="backfill") for n in (2, 3, 4)]
    await rig.deliver(tenant, *events)
    forward(rig, 10)
    await rig.wake()
    records = await rig.records_of(tenant)
    assert causes(records) == [events[-1].id]
    assert records[0].headers["ce_origin"] == "backfill"


async def test_two_who_wake_tell_it_once(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, *(said(N + 1, "deal.created", f"d{n}", known=N) for n in range(20)))
    forward(rig, 2)
    await asyncio.gather(*(rig.refolds.wake() for _ in range(4)))
    assert len(await rig.records_of(tenant)) == 20


async def test_a_merge_of_the_future_counts_when_it_comes(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", "d"), said(0, "deal.created", "m"),
                      said(N + 5, "deal.merged", "d", merged_deal_ids=["m"], known=N))  # fmt: skip
    assert (await rig.deal(tenant, "m"))["status"] == "open"
    forward(rig, 10)
    await rig.wake()
    assert (await rig.deal(tenant, "m"))["status"] == "merged"
    assert len(await rig.records_of(tenant, "m")) == 2
    assert len(await rig.records_of(tenant, "d")) == 2
    assert rig.clock.now() == NOW + timedelta(hours=10)
