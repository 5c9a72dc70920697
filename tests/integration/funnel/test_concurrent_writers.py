"""Writers side by side: none loses what another wrote, and records keep the order of versions."""

import asyncio
import random
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.catalogue import log_key
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.db.errors import is_transient
from libs.common.eventlog.loop import ConsumerLoop, LoopSettings
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import NewRecord, TopicConfig
from tests.integration.funnel.write_rig import Rig, Said, said, stage

pytestmark = pytest.mark.postgres
QUICK = LoopSettings(max_records=7, first_records=7, max_wait=0.02, max_backoff=0.05)


async def persist(rig: Rig, tenant: str, events: Sequence[Said]) -> int:
    """A batch, again and again while the database asks for it; how often it took."""
    return await insisting(lambda: rig.deliver(tenant, *events))


async def insisting(work: Callable[[], Awaitable[object]]) -> int:
    for attempt in range(1, 50):
        try:
            await work()
        except Exception as error:
            if not is_transient(error):
                raise
        else:
            return attempt
    raise AssertionError("starved")


async def waits_for_a_lock(rig: Rig) -> None:
    """Until one of our database's sessions waits for a lock."""
    async with asyncio.timeout(30):
        while not await rig.hand.fetchval(
            """SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'"""
        ):
            await asyncio.sleep(0.005)


async def side_by_side(
    rig: Rig, tenant: str, first: Sequence[Said], second: Sequence[Said]
) -> None:
    """`second` begins while `first` has done all its work and not committed yet."""
    async with rig.database.across_tenants() as tx:
        await rig.handler.handle(tx, rig.records(tenant, first))
        task = asyncio.create_task(persist(rig, tenant, second))
        await waits_for_a_lock(rig)
        assert not task.done()
    await task


async def is_as_in_one_batch(rig: Rig, tenant: str, events: Sequence[Said]) -> None:
    alone = await rig.tenant()
    await rig.deliver(alone, *events)
    await rig.drain()
    assert await rig.rows(tenant) == await rig.rows(alone)


async def has_orderly_records(rig: Rig, tenant: str) -> None:
    """Each deal's records are numbered without a gap, in the order in which they are published."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for record in await rig.records_of(tenant):
        numbers[record.value["deal_id"]].append(record.value["version"])
    rows = await rig.hand.fetch(
        "SELECT deal_id, version FROM funnel.deals WHERE tenant_id = $1", tenant
    )
    assert numbers == {row[0]: list(range(1, row[1] + 1)) for row in rows if row[1]}


MERGE = said(5, "deal.merged", "s", merged_deal_ids=["m"])
BASE = [said(0, "deal.created", "s", stage_id="lead"), said(0, "deal.created", "m", stage_id="x")]
OTHER = {
    "of the merged deal": [stage(8, "offer", "m")],
    "late, of the merged deal": [stage(2, "late", "m", known=9)],
    "of the survivor": [stage(8, "offer", "s")],
    "another merge of the merged deal": [said(6, "deal.merged", "t", merged_deal_ids=["m"])],
    "a merge of the survivor": [said(6, "deal.merged", "t", merged_deal_ids=["s"])],
    "the merge the other way round": [said(6, "deal.merged", "m", merged_deal_ids=["s"])],
    "an earlier one the other way round": [said(4, "deal.merged", "m", merged_deal_ids=["s"])],
}


@pytest.mark.parametrize("known", [True, False], ids=["known deals", "deals unheard of"])
@pytest.mark.parametrize("other", OTHER.values(), ids=OTHER)
@pytest.mark.parametrize("merge_first", [True, False], ids=["merge first", "merge second"])
async def test_a_merge_and_another_writer(
    rig: Rig, known: bool, other: list[Said], merge_first: bool
) -> None:
    tenant, base = await rig.tenant(), BASE if known else []
    await rig.deliver(tenant, said(0, "something.unknown", id="u"), *base)
    pair = ([MERGE], other) if merge_first else (other, [MERGE])
    await side_by_side(rig, tenant, *pair)
    await is_as_in_one_batch(
        rig, tenant, [said(0, "something.unknown", id="u"), *base, *pair[0], *pair[1]]
    )
    await has_orderly_records(rig, tenant)


async def test_two_writers_of_one_deal(rig: Rig) -> None:
    tenant = await rig.tenant()
    events = [said(0, "deal.created", stage_id="lead"), stage(2, "offer"), said(3, "deal.won")]
    await rig.deliver(tenant, events[0])
    await side_by_side(rig, tenant, events[2:], events[1:2])
    await is_as_in_one_batch(rig, tenant, events)
    await has_orderly_records(rig, tenant)


async def test_two_who_make_the_same_deal(rig: Rig) -> None:
    tenant = await rig.tenant()
    events = [said(0, "deal.created", stage_id="lead"), stage(2, "offer")]
    await rig.deliver(tenant, said(0, "something.unknown", id="u"))
    await side_by_side(rig, tenant, events[1:], events[:1])
    await is_as_in_one_batch(rig, tenant, [said(0, "something.unknown", id="u"), *events])
    await has_orderly_records(rig, tenant)


async def test_the_same_delivery_twice_at_once(rig: Rig) -> None:
    tenant = await rig.tenant()
    event = said(0, "deal.created", stage_id="lead", known=5)
    await rig.deliver(tenant, said(0, "something.unknown", id="u"))
    await side_by_side(rig, tenant, [event], [event.again(known=7)])
    await is_as_in_one_batch(rig, tenant, [said(0, "something.unknown", id="u"), event])
    assert len(await rig.records_of(tenant)) == 1


@pytest.mark.parametrize("deal_first", [True, False])
async def test_a_deal_and_its_account_at_once(rig: Rig, deal_first: bool) -> None:
    """Whoever comes second sees the other one: the deal reads the account, or is queued for it."""
    tenant = await rig.tenant()
    pair = [said(1, "deal.created", account_id="a")], [said(0, "account.upserted", "a", region="n")]
    await rig.deliver(tenant, said(0, "something.unknown", id="u"))
    await side_by_side(rig, tenant, *(pair if deal_first else pair[::-1]))
    await rig.drain()
    assert (await rig.deal(tenant))["region"] == "n"
    await is_as_in_one_batch(
        rig, tenant, [said(0, "something.unknown", id="u"), *pair[1], *pair[0]]
    )


async def test_a_pipeline_waits_for_the_batches_that_fold_without_it(rig: Rig) -> None:
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", "d1", stage_id="lead"))
    async with rig.database.across_tenants() as tx:
        await rig.handler.handle(tx, rig.records(tenant, [stage(1, "lead", "d2")]))
        task = asyncio.create_task(rig.pipeline(tenant, ("lead", "won")))
        await waits_for_a_lock(rig)
    assert await task == 2
    await rig.drain()
    assert [(await rig.deal(tenant, d))["status"] for d in ("d1", "d2")] == ["won", "won"]


def crowd(chance: random.Random) -> list[Said]:
    """Deals that are moved, merged, deleted and change their accounts, all at once."""
    deals, events = [f"d{n}" for n in range(6)], list[Said]()
    for n in range(90):
        deal, at = chance.choice(deals), float(chance.randint(0, 30))
        known = at + chance.choice((0, 0, 5))
        match chance.randint(0, 7):
            case 0 | 1 | 2:
                event = stage(at, chance.choice("xyz"), deal, known=known)
            case 3:
                event = said(at, "deal.updated", deal, changes={"account_id": "a"}, known=known)
            case 4:
                event = said(at, "account.upserted", "a", region=chance.choice("ns"), known=known)
            case 5:
                other = chance.choice(deals)
                event = said(at, "deal.merged", deal, merged_deal_ids=[other], known=known)
            case 6:
                kind = chance.choice(("deal.deleted", "deal.restored", "deal.won"))
                event = said(at, kind, deal, known=known)
            case _:
                event = said(at, "activity.logged", deal, activity_id=f"x{n}", known=known)
        events.append(event)
    return events


@pytest.mark.parametrize("seed", range(3))
async def test_a_crowd_of_writers(rig: Rig, seed: int) -> None:
    """Batches of four writers, the refold worker, the alarm and a rebuild, all at the same time."""
    chance, tenant = random.Random(seed), await rig.tenant()
    events = [said(0, "something.unknown", id="u"), *crowd(chance)]
    await rig.deliver(tenant, events[0])
    deliveries = chance.sample(events * 2, len(events) * 2)
    batches = [deliveries[i : i + 5] for i in range(0, len(deliveries), 5)]
    await rig.ask_rebuild(tenant)
    done = asyncio.Event()

    async def writer(number: int) -> None:
        for batch in batches[number::4]:
            await persist(rig, tenant, batch)

    async def steps(step: Callable[[], Awaitable[object]]) -> None:
        while not done.is_set():
            await insisting(step)

    workers = [
        asyncio.create_task(steps(step))
        for step in (rig.refolds.drain, rig.refolds.wake, rig.rebuilds.step)
    ]
    await asyncio.gather(*(writer(number) for number in range(4)))
    done.set()
    await asyncio.gather(*workers)
    await rig.drain()
    while await rig.rebuilds.step():
        pass
    [row] = await rig.hand.fetch("SELECT state FROM funnel.rebuilds WHERE tenant_id = $1", tenant)
    assert row[0] == "switched"
    await is_as_in_one_batch(rig, tenant, events)
    await has_orderly_records(rig, tenant)


async def test_two_consumers_of_one_group(rig: Rig) -> None:
    """Partitions are shared, deals of one merge lie in different ones."""
    tenant, clock, chance = await rig.tenant(), SystemClock(), random.Random(7)
    events = [said(0, "something.unknown", id="u"), *crowd(chance)]
    log, group = MemoryLog(clock), f"group-{secrets.token_hex(4)}"
    await log.create_topics([TopicConfig(CRM_EVENTS, 4)])
    for event in events:
        record = event.record(tenant)
        key = log_key(tenant, next(iter(event.data.values())))
        await log.append(CRM_EVENTS, [NewRecord(key, record.value, record.headers)])
    stop = asyncio.Event()
    loops = [
        asyncio.create_task(_loop(rig, log, group, member, clock).run(stop))
        for member in ("m1", "m2")
    ]
    try:
        async with asyncio.timeout(60):
            while await _folded(rig, tenant) < len(events):
                await asyncio.sleep(0.01)
    finally:
        stop.set()
        await asyncio.gather(*loops)
    await rig.drain()
    await is_as_in_one_batch(rig, tenant, events)
    await has_orderly_records(rig, tenant)


def _loop(rig: Rig, log: MemoryLog, group: str, member: str, clock: Any) -> ConsumerLoop:
    return ConsumerLoop(
        log, rig.database, "funnel", [CRM_EVENTS], group, member, rig.handler, clock, QUICK
    )


async def _folded(rig: Rig, tenant: str) -> int:
    found: int = await rig.hand.fetchval(
        "SELECT count(*) FROM funnel.events WHERE tenant_id = $1", tenant
    )
    return found
