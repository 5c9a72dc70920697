"""A consumer loop over a log in memory and a real PostgreSQL, with a handler that can misbehave.

The handler keeps each record as one row of `funnel.aliases`, whose key refuses a second one: so a
record that is handled twice in effect fails a test by itself.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.db import positions
from libs.common.db.database import Database
from libs.common.eventlog.loop import Buried, ConsumerLoop, LoopSettings
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import NewRecord, Partition, Record, TopicConfig

ROLE = "headway_funnel_worker"
TOPIC = CRM_EVENTS
QUICK = LoopSettings(max_wait=0.02, max_backoff=0.05)
_KEEP = text(
    "INSERT INTO funnel.aliases (tenant_id, deal_id, group_id) VALUES (:tenant, :deal, :at)"
)
_KEPT = text("SELECT deal_id FROM funnel.aliases WHERE tenant_id = :tenant ORDER BY deal_id")
_DEAD = text(
    "SELECT convert_from(value, 'UTF8'), header_names, header_values, partition, record_key"
    " FROM funnel.outbox WHERE tenant_id = :tenant AND topic = :topic ORDER BY id"
)

Misbehave = Callable[[AsyncConnection, Sequence[Record]], Awaitable[Sequence[Buried]]]


async def behave(_: AsyncConnection, __: Sequence[Record]) -> Sequence[Buried]:
    return ()


@dataclass
class KeepingHandler:
    """Keeps records; `misbehave` runs first and may raise or bury."""

    tenant: str
    misbehave: Misbehave = behave
    batches: list[list[str]] = field(default_factory=list)
    commits: int = 0

    async def handle(self, tx: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
        self.batches.append([name_of(record) for record in records])
        buried = await self.misbehave(tx, records)
        dead = {item.record for item in buried}
        rows = [
            {"tenant": self.tenant, "deal": name_of(r), "at": f"{r.partition}/{r.offset}"}
            for r in records
            if r not in dead
        ]
        if rows:
            await tx.execute(_KEEP, rows)
        return buried

    async def committed(self) -> None:
        self.commits += 1


def name_of(record: Record) -> str:
    return (record.value or b"").decode()


@dataclass
class Rig:
    """One group on one topic; `tenant` names the rows of this test."""

    clock: Clock
    log: MemoryLog
    database: Database
    handler: KeepingHandler
    tenant: str
    settings: LoopSettings = QUICK
    group: str = field(default_factory=lambda: f"group-{secrets.token_hex(4)}")

    def loop(self, member: str = "m1", **settings: float) -> ConsumerLoop:
        return ConsumerLoop(
            self.log, self.database, "funnel", [TOPIC], self.group, member, self.handler,
            self.clock, replace(self.settings, **settings),  # type: ignore[arg-type]
        )  # fmt: skip

    async def send(self, *names: str, partition: int = 0) -> None:
        headers = (("ce_tenantid", self.tenant.encode()), ("ce_id", b"\x00\xff"))
        new = [NewRecord(n.encode(), n.encode(), headers, partition) for n in names]
        await self.log.append(TOPIC, new)

    async def kept(self) -> list[str]:
        async with self.database.across_tenants() as tx:
            return list((await tx.execute(_KEPT, {"tenant": self.tenant})).scalars())

    async def dead(self) -> list[tuple[str, Mapping[str, bytes]]]:
        """Dead letters in the outbox: value and headers."""
        async with self.database.across_tenants() as tx:
            found = await tx.execute(_DEAD, {"tenant": self.tenant, "topic": f"{TOPIC}.dlq"})
            return [(r[0], dict(zip(r[1], r[2], strict=True))) for r in found]

    async def position(self, partition: int = 0) -> int:
        async with self.database.across_tenants() as tx:
            held = await positions.read_all(tx, "funnel", self.group)
        place = Partition(TOPIC, partition)
        return held[place].next_offset if place in held else 0

    async def until(self, done: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not await done():
                await asyncio.sleep(0.01)

    async def until_kept(self, *names: str) -> None:
        async def all_there() -> bool:
            return set(names) <= set(await self.kept())

        await self.until(all_there)

    @asynccontextmanager
    async def running(self, loop: ConsumerLoop) -> AsyncIterator[asyncio.Task[None]]:
        """The loop at work; afterwards it is told to stop, and what it raised is raised."""
        stop = asyncio.Event()
        task = asyncio.create_task(loop.run(stop))
        try:
            yield task
        finally:
            stop.set()
            async with asyncio.timeout(30):
                await task


@asynccontextmanager
async def rigged(url: str, clock: Clock, partitions: int = 3) -> AsyncIterator[Rig]:
    log = MemoryLog(clock)
    await log.create_topics([TopicConfig(TOPIC, partitions)])
    database = Database(url, ROLE, pool_size=4)
    tenant = f"t-{secrets.token_hex(4)}"
    try:
        yield Rig(clock, log, database, KeepingHandler(tenant), tenant)
    finally:
        await database.close()
