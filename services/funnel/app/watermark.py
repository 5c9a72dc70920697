"""The watermark: everything that was accepted live before it is folded and published.

It is the least of: the clock, when the input was looked at; the log time up to which each input
partition is folded; what ingest has accepted and not yet appended; what waits for a refold; what
lay ahead and has come due untold. It is told on every output partition once all that was in the
outbox at that moment has been published.

What is looked at comes in the order of its way through the system, so that nothing slips by behind
our back: first what is not appended, then the log's ends, then what is folded, then the outbox.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.contracts.topics import CRM_EVENTS, DEALS
from libs.common.contracts.values import EARLIEST
from libs.common.db.database import Database
from libs.common.db.outbox import OutboxRow
from libs.common.eventlog.port import EventLog, Partition, PartitionEnds
from services.funnel.app.records import watermark_row

APPEND_TIME = timedelta(seconds=2)
"""How much earlier than its log time an event may have been accepted (append deadline 1.5 s)."""
GROUP = "funnel"
"""The reader group of the projection."""
ALL_TENANTS = "_all"


@dataclass(frozen=True, slots=True)
class Folded:
    """How far a partition is folded; `log_time` is that of the last folded record."""

    next_offset: int
    log_time: datetime | None


@dataclass(frozen=True, slots=True)
class Process:
    """What an ingest process last said: the oldest event that it had not appended by then."""

    oldest_unappended: datetime | None
    said_at: datetime


class WatermarkStore(Protocol):
    async def folded(self, topic: str, topic_id: str) -> Mapping[int, Folded]: ...

    async def processes(self) -> Sequence[Process]: ...

    async def oldest_refold(self) -> datetime | None:
        """When the oldest live event was recorded that deals still wait to be folded for."""
        ...

    async def oldest_due(self, now: datetime) -> datetime | None:
        """The oldest event that lay ahead, is due at `now`, and that no record has told yet.

        Sandboxes are left out: the watermark is of real time.
        """
        ...

    async def watermark(self) -> datetime | None: ...

    async def newest_pending(self) -> int | None: ...

    async def pending_up_to(self, outbox_id: int) -> bool: ...

    async def tell(self, watermark: datetime, rows: Sequence[OutboxRow]) -> None:
        """Keep and publish it, unless a greater one has been told meanwhile."""
        ...


def compute(
    now: datetime,
    ends: Mapping[Partition, PartitionEnds],
    folded: Mapping[int, Folded],
    processes: Sequence[Process],
    untold: Sequence[datetime | None] = (),
) -> datetime | None:
    """The watermark as of `now`, read before all else; `None` while a partition is unread.

    `untold` is the oldest of each kind of work that is folded only in part, if there is any.
    """
    bounds = [now, *(at for at in untold if at is not None)]
    for partition, end in ends.items():
        held = folded.get(partition.number, Folded(0, None))
        if held.next_offset >= end.end:
            continue
        if held.log_time is None:
            return None
        bounds.append(held.log_time - APPEND_TIME)
    bounds += (min(p.oldest_unappended or p.said_at, p.said_at) for p in processes)
    return min(bounds)


class Watermarks:
    """Computes a watermark and tells it once what came before it is out."""

    def __init__(
        self,
        database: Database,
        store_of: Callable[[AsyncConnection], WatermarkStore],
        log: EventLog,
        clock: Clock,
    ) -> None:
        self._database, self._store_of = database, store_of
        self._log, self._clock = log, clock
        self._waiting: tuple[datetime, int] | None = None

    async def step(self) -> bool:
        """One look; a watermark that waits for the outbox is told by a later one."""
        self._waiting = self._waiting or await self._computed()
        if self._waiting is not None:
            await self._tell_if_out(*self._waiting)
        return False

    async def _computed(self) -> tuple[datetime, int] | None:
        """A greater watermark than the last one, and the outbox row that has to be out first."""
        now = self._clock.now()
        async with self._database.across_tenants() as tx:
            processes = await self._store_of(tx).processes()
        topic_id = await self._log.topic_id(CRM_EVENTS)
        ends = await self._log.ends(CRM_EVENTS)
        async with self._database.across_tenants() as tx:
            store = self._store_of(tx)
            folded = await store.folded(CRM_EVENTS, topic_id)
            untold = await store.oldest_refold(), await store.oldest_due(now)
            mark = compute(now, ends, folded, processes, untold)
            if mark is None or mark <= (await store.watermark() or EARLIEST):
                return None
            return mark, await store.newest_pending() or 0

    async def _tell_if_out(self, mark: datetime, outbox_id: int) -> None:
        partitions = len(await self._log.ends(DEALS))  # asked each time, as topics grow
        async with self._database.across_tenants() as tx:
            store = self._store_of(tx)
            if outbox_id and await store.pending_up_to(outbox_id):
                return
            rows = [watermark_row(ALL_TENANTS, mark, n) for n in range(partitions)]
            await store.tell(mark, rows)
        self._waiting = None
