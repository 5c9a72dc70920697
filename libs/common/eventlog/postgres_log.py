"""The embedded log: topics as rows of one PostgreSQL, with gapless offsets.

Concurrent appends share transactions (group commit): one flusher takes whatever waits. Offsets are
drawn under the locks of their partitions, which are held until the commit, so records become
visible in offset order and readers can trust that what they do not see is not there yet.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncpg

from libs.common import faults
from libs.common.clock import Clock
from libs.common.eventlog.placing import place
from libs.common.eventlog.port import (
    LogUnavailable,
    NewRecord,
    Partition,
    PartitionEnds,
    TopicConfig,
    UnknownTopic,
)
from libs.common.eventlog.postgres_reader import PostgresReader
from libs.common.eventlog.postgres_session import CHANNEL, SETTINGS, unavailable
from libs.common.eventlog.timed import appending

DEADLINE = 1.5
"""Seconds until an append that is not durable is given up; it may still become durable."""
MAX_WAITING = 50_000
_CREATE = """WITH made AS (
        INSERT INTO log.topics (topic, partitions, retention, retention_bytes, compact)
        VALUES ($1, $2, $3 * interval '1 day', $4, $5) ON CONFLICT DO NOTHING RETURNING topic)
    INSERT INTO log.partitions (topic, partition)
    SELECT made.topic, n FROM made, generate_series(0, $2::int - 1) AS n"""
_ENDS = "SELECT partition, start_offset, next_offset FROM log.partitions WHERE topic = $1"
_LOCK = """SELECT p.topic, p.partition, p.next_offset, clock_timestamp() AS now
    FROM unnest($1::text[], $2::int[]) AS k(topic, partition)
    JOIN log.partitions p USING (topic, partition)
    ORDER BY p.topic, p.partition FOR UPDATE OF p"""
_ADVANCE = """UPDATE log.partitions p SET next_offset = k.next_offset
    FROM unnest($1::text[], $2::int[], $3::bigint[]) AS k(topic, partition, next_offset)
    WHERE p.topic = k.topic AND p.partition = k.partition"""
_COLUMNS = (
    "topic", "partition", "offset", "key", "value", "header_names", "header_values", "appended_at",
)  # fmt: skip


@dataclass(slots=True)
class _Waiting:
    """Records of one append, placed, and who waits for them."""

    topic: str
    placed: Sequence[int]
    records: Sequence[NewRecord]
    done: "asyncio.Future[list[tuple[int, int]]]"


class PostgresLog:
    """Implements `EventLog` over schema `log`. `deadline` bounds each append, in seconds."""

    def __init__(self, database_url: str, clock: Clock, deadline: float = DEADLINE) -> None:
        self._url, self._clock, self._deadline = database_url, clock, deadline
        self._pool: asyncpg.Pool[Any] | None = None
        self._topics: dict[str, int] = {}
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the pool; raises `LogUnavailable` if PostgreSQL does not answer."""
        try:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=6,
                timeout=5,
                command_timeout=30,
                server_settings=SETTINGS,
            )
        except Exception as error:
            raise unavailable(error) from error
        self._flusher = asyncio.create_task(self._flush_for_ever(), name="postgres-log-flusher")

    async def stop(self) -> None:
        """Finish what waits, then close."""
        if self._flusher is not None:
            with suppress(Exception):
                await asyncio.wait_for(self._flush(), self._deadline)
            self._flusher.cancel()
            with suppress(asyncio.CancelledError):
                await self._flusher
        if self._pool is not None:
            pool, self._pool = self._pool, None
            try:
                await asyncio.wait_for(pool.close(), 5)
            except TimeoutError:
                pool.terminate()

    @property
    def pool(self) -> "asyncpg.Pool[Any]":
        if self._pool is None:
            raise LogUnavailable("the log is not started")
        return self._pool

    async def create_topics(self, topics: Sequence[TopicConfig]) -> None:
        try:
            async with self.pool.acquire() as conn, conn.transaction():
                for t in sorted(topics, key=lambda topic: topic.name):
                    await conn.execute(
                        _CREATE,
                        t.name,
                        t.partitions,
                        t.retention_days,
                        t.retention_bytes,
                        t.compact,
                    )
        except Exception as error:
            raise unavailable(error) from error

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        if not records:
            return []
        with appending(topic, len(records)):
            placed = place(records, await self._partitions(topic))
            return await self._written(topic, placed, records)

    async def _written(
        self, topic: str, placed: Sequence[int], records: Sequence[NewRecord]
    ) -> Sequence[tuple[int, int]]:
        """Join the next transaction of the writer, and wait for its commit."""
        if sum(len(waiting.records) for waiting in self._waiting) > MAX_WAITING:
            raise LogUnavailable("too many records wait to be written")
        done: asyncio.Future[list[tuple[int, int]]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(topic, placed, records, done))
        self._arrived.set()
        try:
            return await asyncio.wait_for(done, self._deadline)
        except TimeoutError:
            raise LogUnavailable(f"not durable within {self._deadline} s") from None

    async def _partitions(self, topic: str) -> int:
        if topic not in self._topics:
            row = await self.fetchrow("SELECT partitions FROM log.topics WHERE topic = $1", topic)
            if row is None:
                raise UnknownTopic(topic)
            self._topics[topic] = row[0]
        return self._topics[topic]

    async def topic_id(self, topic: str) -> str:
        row = await self.fetchrow("SELECT topic_id::text FROM log.topics WHERE topic = $1", topic)
        if row is None:
            raise UnknownTopic(topic)
        return str(row[0])

    async def ends(self, topic: str) -> Mapping[Partition, PartitionEnds]:
        rows = await self.fetch(
            "SELECT partition, start_offset, next_offset FROM log.partitions WHERE topic = $1",
            topic,
        )
        if not rows:
            raise UnknownTopic(topic)
        return {Partition(topic, row[0]): PartitionEnds(row[1], row[2]) for row in rows}

    def reader(self, topics: Sequence[str], group: str | None, member: str) -> PostgresReader:
        return PostgresReader(self, self._url, topics, group)

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        """Rows of one statement; trouble is `LogUnavailable`."""
        try:
            found: list[Any] = await self.pool.fetch(statement, *values)
        except Exception as error:
            raise unavailable(error) from error
        return found

    async def fetchrow(self, statement: str, *values: Any) -> Any:
        found = await self.fetch(statement, *values)
        return found[0] if found else None

    async def _flush_for_ever(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self._flush()

    async def _flush(self) -> None:
        """Write everything that waits in one transaction, and tell its owners."""
        waiting, self._waiting = [w for w in self._waiting if not w.done.done()], []
        if not waiting:
            return
        try:
            async with self.pool.acquire() as conn, conn.transaction():
                offsets = await _write(conn, waiting)
                faults.hit("log.before_commit")
        except Exception as error:  # noqa: BLE001  # each waiting append gets it
            for item in waiting:
                if not item.done.done():
                    item.done.set_exception(unavailable(error))
            return
        faults.hit("log.after_commit")
        for item, written in zip(waiting, offsets, strict=True):
            if not item.done.done():
                item.done.set_result(written)


async def _write(conn: Any, waiting: Sequence[_Waiting]) -> list[list[tuple[int, int]]]:
    """Draw offsets under the partitions' locks and copy the records in."""
    touched = sorted({(item.topic, number) for item in waiting for number in item.placed})
    locked = await conn.fetch(_LOCK, [t for t, _ in touched], [n for _, n in touched])
    following = defaultdict(int, {(row[0], row[1]): row[2] for row in locked})
    now = max(row[3] for row in locked)
    rows, offsets = [], []
    for item in waiting:
        written = []
        for number, record in zip(item.placed, item.records, strict=True):
            offset = following[item.topic, number]
            following[item.topic, number] += 1
            rows.append((item.topic, number, offset, *_contents(record), now))
            written.append((number, offset))
        offsets.append(written)
    await conn.copy_records_to_table("records", schema_name="log", columns=_COLUMNS, records=rows)
    keys = sorted(following)
    await conn.execute(
        _ADVANCE, [t for t, _ in keys], [n for _, n in keys], [following[k] for k in keys]
    )
    await conn.execute("SELECT pg_notify($1, '')", CHANNEL)
    return offsets


def _contents(record: NewRecord) -> tuple[Any, ...]:
    names = [name for name, _ in record.headers]
    return record.key, record.value, names, [content for _, content in record.headers]
