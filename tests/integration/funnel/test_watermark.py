"""The watermark never passes what is not appended, not folded or not published."""

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.contracts.deals import Watermark
from libs.common.contracts.topics import CRM_EVENTS, DEALS
from libs.common.db import outbox
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import NewRecord, Partition, PartitionEnds, TopicConfig
from services.funnel.adapters.watermarks import PostgresWatermarks
from services.funnel.app.watermark import APPEND_TIME, Folded, Process, Watermarks, compute
from tests.integration.funnel.write_rig import NOW, Rig, h, rigged, said

pytestmark = pytest.mark.postgres
LONG = timedelta(hours=5)


def ends(*counts: int) -> dict[Partition, PartitionEnds]:
    return {Partition("t", n): PartitionEnds(0, count) for n, count in enumerate(counts)}


@pytest.mark.parametrize(
    ("counts", "folded", "processes", "untold", "wanted"),
    [
        ((), {}, [], (), NOW),
        ((0, 0), {}, [], (), NOW),
        ((3, 5), {0: Folded(3, h(1)), 1: Folded(5, h(2))}, [], (), NOW),
        ((3, 5), {0: Folded(3, h(1)), 1: Folded(4, h(2))}, [], (), h(2) - APPEND_TIME),
        ((3, 5), {0: Folded(2, h(1)), 1: Folded(4, h(2))}, [], (), h(1) - APPEND_TIME),
        ((3, 5), {0: Folded(3, h(1))}, [], (), None),
        ((3,), {0: Folded(0, None)}, [], (), None),
        ((0,), {}, [Process(None, h(9))], (), h(9)),
        ((0,), {}, [Process(h(7), h(9)), Process(None, h(8))], (), h(7)),
        ((0,), {}, [Process(h(9), h(8))], (), h(8)),
        ((0,), {}, [Process(None, NOW + LONG)], (), NOW),
        ((0,), {}, [], (h(6), None), h(6)),
        ((0,), {}, [], (h(6), h(4)), h(4)),
        ((0,), {}, [], (NOW + LONG, None), NOW),
    ],
)
def test_the_least_of_all_that_is_not_done(
    counts: Sequence[int],
    folded: dict[int, Folded],
    processes: list[Process],
    untold: tuple[datetime | None, ...],
    wanted: datetime | None,
) -> None:
    assert compute(NOW, ends(*counts), folded, processes, untold) == wanted


@dataclass
class Bench:
    """A log, a group that has folded part of it, and a watermark worker."""

    rig: Rig
    log: MemoryLog
    group: str
    worker: Watermarks
    owner: str = field(default_factory=lambda: f"p-{secrets.token_hex(4)}")

    async def append(self, count: int, partition: int = 0) -> None:
        await self.log.append(CRM_EVENTS, [NewRecord(None, b"{}", (), partition)] * count)

    async def fold(self, next_offset: int, partition: int = 0) -> None:
        """The group stands at `next_offset`; what it folded last was appended now."""
        await self.rig.hand.execute(
            """INSERT INTO funnel.positions VALUES ($1, $2, $3, $4, $5, 1, 'p', $6)
            ON CONFLICT (reader_group, topic_id, partition) DO UPDATE
            SET next_offset = EXCLUDED.next_offset, log_time = EXCLUDED.log_time""",
            self.group, await self.log.topic_id(CRM_EVENTS), partition, CRM_EVENTS, next_offset,
            self.rig.clock.now(),
        )  # fmt: skip

    async def says(self, oldest: datetime | None) -> None:
        """An ingest process tells what it has not appended yet."""
        await self.rig.hand.execute(
            """INSERT INTO ingest.processes (process_id, oldest_unappended, updated_at)
            VALUES ($1, $2, $3) ON CONFLICT (process_id) DO UPDATE
            SET oldest_unappended = EXCLUDED.oldest_unappended, updated_at = EXCLUDED.updated_at""",
            self.owner, oldest, self.rig.clock.now(),
        )  # fmt: skip

    async def step(self) -> datetime | None:
        await self.worker.step()
        found: datetime | None = await self.rig.hand.fetchval(
            "SELECT watermark FROM funnel.watermarks WHERE name = 'deals'"
        )
        return found

    async def told(self) -> list[Any]:
        rows = await self.rig.outbox("_all", DEALS)
        return [Watermark.model_validate_json(row[2]) for row in rows]

    async def publish_all(self) -> None:
        await self.rig.hand.execute("UPDATE funnel.outbox SET published_at = now()")


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with rigged(database_url) as rig:
        log, group = MemoryLog(rig.clock), f"g-{secrets.token_hex(4)}"
        await log.create_topics([TopicConfig(CRM_EVENTS, 2), TopicConfig(DEALS, 3)])
        yield Bench(rig, log, group, worker(rig, log, group))
        for table in ("outbox", "watermarks", "refold_queue", "deals", "events"):
            await rig.hand.execute(f"DELETE FROM funnel.{table}")  # noqa: S608  # a constant
        await rig.hand.execute("DELETE FROM ingest.processes")


def worker(rig: Rig, log: MemoryLog, group: str) -> Watermarks:
    def store_of(tx: AsyncConnection) -> PostgresWatermarks:
        return PostgresWatermarks(tx, group)

    return Watermarks(rig.database, store_of, log, rig.clock)


async def test_it_is_told_on_every_output_partition(bench: Bench) -> None:
    assert await bench.step() == NOW
    assert [(w.watermark, w.partition) for w in await bench.told()] == [
        (NOW, 0), (NOW, 1), (NOW, 2),
    ]  # fmt: skip


async def test_it_is_told_on_a_partition_that_the_topic_has_grown_by(bench: Bench) -> None:
    """Whoever consumes the topic waits for the watermarks of all its partitions."""
    assert await bench.step() == NOW
    await bench.publish_all()
    deals = bench.log.topic(DEALS)
    deals.starts.append(0)
    deals.records.append([])
    bench.rig.clock.advance(LONG)
    assert await bench.step() == NOW + LONG
    assert [w.partition for w in await bench.told() if w.watermark == NOW + LONG] == [0, 1, 2, 3]


async def test_it_waits_for_what_is_not_folded(bench: Bench) -> None:
    await bench.append(2)
    assert await bench.step() is None
    await bench.fold(1)
    bench.rig.clock.advance(LONG)
    assert await bench.step() == NOW - APPEND_TIME
    await bench.publish_all()
    await bench.fold(2)
    assert await bench.step() == NOW + LONG


async def test_it_waits_for_what_ingest_has_not_appended(bench: Bench) -> None:
    await bench.says(h(3))
    assert await bench.step() == h(3)
    await bench.publish_all()
    bench.rig.clock.advance(LONG)
    await bench.says(None)
    assert await bench.step() == NOW + LONG


async def test_what_is_appended_while_we_look_is_never_passed(bench: Bench) -> None:
    """An event accepted before our look is appended right after we saw the log's ends, and its
    process says at once that it has nothing left: it was not folded, so it must not be passed."""
    await bench.says(h(3))
    look = bench.log.ends

    async def ends_then_append(topic: str) -> Any:
        seen = await look(topic)
        if topic == CRM_EVENTS:
            await bench.append(1)
            await bench.says(None)
        return seen

    bench.log.ends = ends_then_append  # type: ignore[method-assign]
    mark = await bench.step()
    assert mark is not None
    assert mark <= h(3)


async def test_it_waits_for_refolds(bench: Bench) -> None:
    """However late the event was folded itself: it was recorded at 7."""
    rig = bench.rig
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", account_id="a"))
    await rig.deliver(tenant, said(6, "account.upserted", "a", region="north", known=7))
    await bench.publish_all()
    assert await bench.step() == h(7)
    await rig.drain()
    await bench.publish_all()
    assert await bench.step() == NOW


async def test_a_refold_for_an_import_holds_nobody_up(bench: Bench) -> None:
    rig = bench.rig
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created", account_id="a"))
    await rig.deliver(tenant, said(6, "account.upserted", "a", region="x", origin="backfill"))
    await bench.publish_all()
    assert await bench.step() == NOW


async def test_it_waits_for_the_alarms_that_have_not_rung(bench: Bench) -> None:
    rig = bench.rig
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(1001, "deal.created", known=1000))
    rig.clock.advance(LONG)
    assert await bench.step() == h(1001)
    await rig.wake()
    await bench.publish_all()
    assert await bench.step() == NOW + LONG


async def test_it_is_told_after_all_that_was_in_the_outbox(bench: Bench) -> None:
    rig = bench.rig
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created"))
    assert await bench.step() is None
    rig.clock.advance(LONG)
    await rig.deliver(tenant, said(1, "deal.won"))
    assert await bench.step() is None
    async with rig.database.across_tenants() as tx:
        await outbox.mark_published(tx, "funnel", (await outbox.claim(tx, "funnel", 10))[:1])
    assert await bench.step() == NOW, "what came to the outbox later is not waited for"
    rows = await rig.outbox("_all", DEALS)
    newest = await rig.hand.fetchval(
        "SELECT max(id) FROM funnel.outbox WHERE tenant_id = $1", tenant
    )
    assert all(row[0] > newest for row in rows)


async def test_it_never_goes_back(bench: Bench) -> None:
    assert await bench.step() == NOW
    count = len(await bench.told())
    await bench.says(h(2))
    assert await bench.step() == NOW
    assert len(await bench.told()) == count


async def test_a_worker_that_waited_too_long_does_not_tell_an_old_one(bench: Bench) -> None:
    """It lost its lease while the outbox was full; another one has told a greater watermark."""
    rig = bench.rig
    tenant = await rig.tenant()
    await rig.deliver(tenant, said(0, "deal.created"))
    assert await bench.step() is None
    rig.clock.advance(LONG)
    await bench.publish_all()
    await worker(rig, bench.log, bench.group).step()
    count = len(await bench.told())
    assert await bench.step() == NOW + LONG
    assert len(await bench.told()) == count


async def test_a_repeat_is_byte_identical(bench: Bench) -> None:
    await bench.step()
    first = await bench.rig.outbox("_all", DEALS)
    await bench.publish_all()
    await bench.rig.hand.execute("DELETE FROM funnel.watermarks")
    await bench.step()
    rows = await bench.rig.outbox("_all", DEALS)
    assert [tuple(r)[1:] for r in rows[3:]] == [tuple(r)[1:] for r in first]
    assert orjson.loads(rows[0][2]) == {"watermark": "2026-04-13T01:00:00Z", "partition": 0}
