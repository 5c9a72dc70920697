"""Headway's funnel as it runs in production: loop, fence, two-time history, outbox; no relay."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

import asyncpg
import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import SystemClock
from libs.common.db.database import Database
from libs.common.eventlog.dead_letter import Buried
from libs.common.eventlog.loop import ConsumerLoop, Handler
from libs.common.eventlog.port import (
    Assigned,
    EventLog,
    Partition,
    Reader,
    Record,
)
from services.funnel.adapters.store import PostgresStore
from services.funnel.app.batch import BatchHandler
from services.funnel.app.projector import Projector
from tests.bench.stream import LOST, OPEN, PIPELINE, START, TENANT, WON

GROUP = "funnel"


@dataclass
class Progress:
    """What the loop did: seconds from its partitions to the last commit, and its batches."""

    count: int
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    batches: list[int] = field(default_factory=list)
    buried: list[Buried] = field(default_factory=list)
    started: float = 0.0
    reading: float = 0.0
    handling: float = 0.0
    handled_at: float = 0.0
    committing: float = 0.0
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        return self.ended - self.started


async def prepare(url: str) -> None:
    """A tenant and its published pipeline, as the two APIs write them."""
    classes = dict.fromkeys(OPEN, "open") | {WON: "won", LOST: "lost"}
    stages = [{"id": id_, "name": id_.title(), "class": c} for id_, c in classes.items()]
    hand = await asyncpg.connect(url)
    try:
        await hand.execute(
            "INSERT INTO ingest.tenants VALUES ($1, $1, 'UTC', 'EUR', 1, 'monday', false, now())",
            TENANT,
        )
        await hand.execute(
            "INSERT INTO funnel.pipelines VALUES ($1, $2, 1, $2, $3::json, $4, 'admin')",
            TENANT, PIPELINE, orjson.dumps(stages).decode(), START,
        )  # fmt: skip
    finally:
        await hand.close()


async def run(log: EventLog, topic: str, url: str, count: int) -> Progress:
    """Fold `count` records of `topic`, from the first fetch to the last commit."""
    await prepare(url)
    database = Database(url, "headway_funnel_worker")
    clock, progress = SystemClock(), Progress(count)
    handler = _Counting(BatchHandler(PostgresStore, Projector(GROUP), clock), progress)
    watched = cast(EventLog, _Watched(log, progress))  # it hands on what it does not define
    loop = ConsumerLoop(watched, database, "funnel", (topic,), GROUP, GROUP, handler, clock)
    try:
        await loop.run(progress.stop)
    finally:
        await database.close()
    if progress.buried:
        raise AssertionError(f"the funnel refused {len(progress.buried)}: {progress.buried[0]}")
    return progress


class _Counting:
    """A handler that stops the loop after the last commit."""

    def __init__(self, handler: Handler, progress: Progress) -> None:
        self._handler, self._progress = handler, progress
        self._open = 0

    async def handle(self, tx: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
        started = perf_counter()
        buried = await self._handler.handle(tx, records)
        progress = self._progress
        progress.handled_at = perf_counter()
        progress.handling += progress.handled_at - started
        progress.buried += buried
        self._open = len(records)
        return buried

    async def committed(self) -> None:
        progress = self._progress
        progress.ended = perf_counter()
        progress.committing += progress.ended - progress.handled_at
        progress.batches.append(self._open)
        if sum(progress.batches) >= progress.count:
            progress.stop.set()


class _Watched:
    """The log, with a reader that tells when it got its partitions and how long it was read."""

    def __init__(self, log: EventLog, progress: Progress) -> None:
        self._log, self._progress = log, progress

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    def reader(self, topics: Sequence[str], group: str | None, member: str) -> Reader:
        return _WatchedReader(self._log.reader(topics, group, member), self._progress)


class _WatchedReader:
    def __init__(self, reader: Reader, progress: Progress) -> None:
        self._reader, self._progress = reader, progress
        self.seek, self.report, self.stop = reader.seek, reader.report, reader.stop

    async def start(self, on_assigned: Assigned, on_revoked: Assigned) -> None:
        async def assigned(partitions: Collection[Partition]) -> None:
            await on_assigned(partitions)
            self._progress.started = self._progress.started or perf_counter()

        await self._reader.start(assigned, on_revoked)

    async def read(self, max_records: int, max_wait: float) -> Sequence[Record]:
        started = perf_counter()
        records = await self._reader.read(max_records, max_wait)
        if self._progress.started:
            self._progress.reading += perf_counter() - max(started, self._progress.started)
        return records
