"""Reads the embedded log: all partitions to the one process of each reader group, or to a tail."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg

from libs.common.eventlog.port import (
    Assigned,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
    Record,
    TopicChanged,
)
from libs.common.eventlog.postgres_session import CHANNEL, SETTINGS, unavailable

if TYPE_CHECKING:
    from libs.common.eventlog.postgres_log import PostgresLog

RETRY = 1.0
READ_BYTES = 4 * 1024 * 1024
"""Of values that one read brings, but for the last: a batch of large records is small, since its
reader holds several copies of it."""
_READ = """SELECT topic, partition, "offset", key, value, header_names, header_values, appended_at
    FROM (SELECT *, sum(octet_length(value))
            OVER (ORDER BY turn, "offset" ROWS UNBOUNDED PRECEDING) AS upto
        FROM (SELECT k.turn, r.*
            FROM unnest($1::text[], $2::int[], $3::bigint[])
                WITH ORDINALITY AS k(topic, partition, at, turn)
            CROSS JOIN LATERAL (
                SELECT * FROM log.records r
                WHERE r.topic = k.topic AND r.partition = k.partition AND r."offset" >= k.at
                ORDER BY r."offset" LIMIT $4) r
            ORDER BY k.turn, r."offset" LIMIT $4) r) r
    WHERE coalesce(upto, 0) - coalesce(octet_length(value), 0) < $5
    ORDER BY turn, "offset"
"""
_REPORT = """INSERT INTO log.reported_positions
        (reader_group, topic, partition, next_offset, reported_at)
    SELECT $1, topic, partition, at, now()
    FROM unnest($2::text[], $3::int[], $4::bigint[]) AS k(topic, partition, at)
    ON CONFLICT (reader_group, topic, partition) DO UPDATE
    SET next_offset = EXCLUDED.next_offset, reported_at = EXCLUDED.reported_at"""


class PostgresReader:
    """Implements `Reader`. A session lock on its own connection says who the one process is; that
    connection also listens for appends. Losing it means losing the partitions. A tail locks
    nothing."""

    def __init__(
        self, log: "PostgresLog", url: str, topics: Sequence[str], group: str | None
    ) -> None:
        self._log, self._url, self._topics, self._group = log, url, topics, group
        self._conn: Any = None
        self._held = False
        self._positions: dict[Partition, int] = {}
        self._ids: dict[str, str] = {}
        self._woken = asyncio.Event()
        self._turn = 0

    async def start(self, on_assigned: Assigned, on_revoked: Assigned) -> None:
        self._on_assigned, self._on_revoked = on_assigned, on_revoked

    def seek(self, partition: Partition, offset: int) -> None:
        self._positions[partition] = offset

    async def read(self, max_records: int, max_wait: float) -> Sequence[Record]:
        if not await self._join(max_wait):
            return []
        self._woken.clear()
        if found := await self._fetch(max_records):
            return found
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), max_wait)
        found = await self._fetch(max_records)
        if not found:
            await self._check()
        return found

    async def _join(self, max_wait: float) -> bool:
        """Hold the group's lock; tells the owner what that gives or takes away."""
        if self._conn is not None and self._conn.is_closed():
            await self._lose()
            raise LogUnavailable("the reader's connection was lost")
        if self._held:
            return True
        await self._connect()
        if not await self._try_lock():
            await asyncio.sleep(min(max_wait, RETRY))  # somebody else reads for the group
            return False
        self._held = True
        self._ids = {topic: await self._log.topic_id(topic) for topic in self._topics}
        await self._on_assigned([p for topic in self._topics for p in await self._log.ends(topic)])
        return True

    async def _connect(self) -> None:
        if self._conn is not None:
            return
        try:
            self._conn = await asyncpg.connect(self._url, timeout=5, server_settings=SETTINGS)
            await self._conn.add_listener(CHANNEL, self._wake)
        except Exception as error:
            raise unavailable(error) from error

    async def _try_lock(self) -> bool:
        if self._group is None:
            return True
        number = int.from_bytes(
            hashlib.sha256(self._group.encode()).digest()[:8], "big", signed=True
        )
        try:
            locked: bool = await self._conn.fetchval("SELECT pg_try_advisory_lock($1)", number)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise LogUnavailable(str(error)) from error
        return locked

    def _wake(self, *_: Any) -> None:
        self._woken.set()

    async def _lose(self) -> None:
        self._conn, lost = None, list(self._positions)
        self._positions.clear()
        if self._held:
            self._held = False
            await self._on_revoked(lost)

    async def _fetch(self, limit: int) -> list[Record]:
        """Up to `limit` records; each read begins with another partition, so that none starves."""
        places = sorted(self._positions.items())
        self._turn = (self._turn + 1) % max(1, len(places))
        turned = places[self._turn :] + places[: self._turn]
        rows = await self._log.fetch(
            _READ,
            [p.topic for p, _ in turned],
            [p.number for p, _ in turned],
            [at for _, at in turned],
            limit,
            READ_BYTES,
        )
        records = [_record(row) for row in rows]
        if any(self._skips(record) for record in records):
            await self._check()
        return records

    def _skips(self, record: Record) -> bool:
        """Offsets have no gaps, so one that is not the next tells of lost records."""
        partition = Partition(record.topic, record.partition)
        expected, self._positions[partition] = self._positions[partition], record.offset + 1
        if record.offset != expected:
            self._positions[partition] = expected
        return record.offset != expected

    async def _check(self) -> None:
        """Are our positions still there, and the topics still the same?"""
        for topic, known in self._ids.items():
            if await self._log.topic_id(topic) != known:
                raise TopicChanged(topic)
            for partition, ends in (await self._log.ends(topic)).items():
                at = self._positions.get(partition, ends.start)
                if not ends.start <= at <= ends.end:
                    raise OffsetOutOfRange(partition, at, ends)

    async def report(self, positions: Mapping[Partition, int]) -> None:
        if self._group is None:
            return
        held = sorted(positions.items())
        await self._log.fetch(
            _REPORT,
            self._group,
            [p.topic for p, _ in held],
            [p.number for p, _ in held],
            [at for _, at in held],
        )

    async def stop(self) -> None:
        self._positions.clear()
        self._held = False
        if self._conn is not None:
            conn, self._conn = self._conn, None
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                await conn.close(timeout=2)


def _record(row: Any) -> Record:
    headers = tuple(zip(row[5], row[6], strict=True))
    return Record(row[0], row[1], row[2], row[3], row[4], headers, row[7])
