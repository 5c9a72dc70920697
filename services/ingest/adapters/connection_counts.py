"""Counts of connections in SQL, written once a second; how many of them have fallen silent."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.db.database import Database
from services.ingest.adapters import (
    channel_expiry,
    connection_counters,
    connection_secrets,
    connection_signatures,
)
from services.ingest.adapters.silence import FORGOTTEN, SILENT
from services.ingest.adapters.transactions import worker_transaction
from services.ingest.app.connection_counts import SKEW, ConnectionCounts, Key, Tally
from services.ingest.app.ports import IndexUnavailable

EVERY = 1.0
LOOK_EVERY = 60.0
_COUNT = text("""
    INSERT INTO ingest.connection_counts AS c (tenant_id, connection_id, deliveries, accepted,
        duplicates, rejected, refused, last_delivery_at, last_event_at)
    VALUES (:tenant_id, :connection_id, :deliveries, :accepted, :duplicates, :rejected, :refused,
        :last_delivery_at, :last_event_at)
    ON CONFLICT (tenant_id, connection_id) DO UPDATE SET
        deliveries = c.deliveries + excluded.deliveries,
        accepted = c.accepted + excluded.accepted,
        duplicates = c.duplicates + excluded.duplicates,
        rejected = c.rejected + excluded.rejected,
        refused = c.refused + excluded.refused,
        last_delivery_at = greatest(c.last_delivery_at, excluded.last_delivery_at),
        last_event_at = CASE
            WHEN c.last_event_at > greatest(c.last_delivery_at, excluded.last_delivery_at) + :skew
                AND excluded.last_delivery_at IS NOT NULL
            THEN excluded.last_event_at
            ELSE greatest(c.last_event_at, excluded.last_event_at) END
""")
_HOUR = text("""
    INSERT INTO ingest.connection_hours AS h (tenant_id, connection_id, hour, deliveries)
    VALUES (:tenant_id, :connection_id, :hour, :deliveries)
    ON CONFLICT (tenant_id, connection_id, hour) DO UPDATE
    SET deliveries = h.deliveries + excluded.deliveries
""")
_PRUNE = text(f"""
    DELETE FROM ingest.connection_hours h USING ingest.connection_counts c
    WHERE h.tenant_id = c.tenant_id AND h.connection_id = c.connection_id AND {FORGOTTEN}
""")  # noqa: S608  constants only
_SILENT = text(f"""
    SELECT count(*) FROM ingest.connection_counts c
    JOIN ingest.connections n ON n.tenant_id = c.tenant_id AND n.connection_id = c.connection_id
    WHERE NOT n.deleted AND {SILENT}
""")  # noqa: S608  constants only
_log = structlog.get_logger(__name__)


class CountsWriter:
    """`database` is a pool of the worker role; what it does not take waits for the next second.
    `learned` is told each connection of which more is known than before."""

    def __init__(
        self,
        database: Database,
        counts: ConnectionCounts,
        clock: Clock,
        learned: Callable[[str], None] = lambda _connection_id: None,
    ) -> None:
        self._database, self._counts, self._clock = database, counts, clock
        self._learned = learned
        self._task: asyncio.Task[None] | None = None
        self._look_at = float("-inf")

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="ingest-connection-counts")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        with suppress(IndexUnavailable):
            await self.write()

    async def write(self) -> None:
        """Write what was counted; raises `IndexUnavailable` and keeps it."""
        taken = self._counts.take()
        if not taken:
            return
        try:
            async with worker_transaction(self._database) as tx:
                await self._write(tx, sorted(taken.items()))  # two must not lock crosswise
        except BaseException:
            self._counts.give_back(taken)
            raise
        for (_, connection_id), tally in taken.items():
            if tally.signatures:
                self._learned(connection_id)
            if tally.refused:
                _log.warning("deliveries_refused", connection=connection_id, times=tally.refused)

    async def _write(self, tx: AsyncConnection, ordered: Sequence[tuple[Key, Tally]]) -> None:
        """The connection's own row comes first, as where its owner changes it."""
        if signed := [row for key, tally in ordered for row in _signed(key, tally)]:
            await connection_signatures.learn(tx, signed)
        await tx.execute(_COUNT, [_counted(key, tally) for key, tally in ordered])
        if hours := [row for key, tally in ordered for row in _hours(key, tally)]:
            await tx.execute(_HOUR, hours)
        if matched := [row for key, tally in ordered for row in _matched(key, tally)]:
            await connection_secrets.matched(tx, matched)
        for key, tally in ordered:
            await connection_counters.write(tx, key, tally.numbers, self._clock.now())

    async def look(self, now: datetime) -> None:
        """Tell how many connections are silent or miss numbers and when their channels expire, and
        forget the hours that tell nothing more."""
        async with worker_transaction(self._database) as tx:
            await tx.execute(_PRUNE)
            silent = (await tx.execute(_SILENT, {"now": now})).scalar_one()
            missing = await connection_counters.missing(tx)
            await channel_expiry.tell(tx, now)
        metrics.INGEST_CONNECTIONS_SILENT.set(silent)
        metrics.INGEST_CONNECTIONS_MISSING.set(missing)

    async def _run(self) -> None:
        while True:
            try:
                await self.write()
                if self._clock.monotonic() >= self._look_at:
                    self._look_at = self._clock.monotonic() + LOOK_EVERY
                    await self.look(self._clock.now())
            except IndexUnavailable as error:
                _log.warning("connection_counts_wait", error=error)
            await asyncio.sleep(EVERY)


def _counted(key: Key, tally: Tally) -> Mapping[str, Any]:
    return {
        "tenant_id": key[0],
        "connection_id": key[1],
        "deliveries": tally.deliveries,
        "accepted": tally.accepted,
        "duplicates": tally.duplicates,
        "rejected": tally.rejected,
        "refused": tally.refused,
        "last_delivery_at": tally.last_delivery_at,
        "last_event_at": tally.last_event_at,
        "skew": SKEW,
    }


def _hours(key: Key, tally: Tally) -> list[Mapping[str, Any]]:
    return [
        {"tenant_id": key[0], "connection_id": key[1], "hour": hour, "deliveries": deliveries}
        for hour, deliveries in sorted(tally.hours.items())
    ]


def _matched(key: Key, tally: Tally) -> list[Mapping[str, Any]]:
    return [
        {"tenant_id": key[0], "connection_id": key[1], "mark": mark, "at": at}
        for mark, at in sorted(tally.matched.items())
    ]


def _signed(key: Key, tally: Tally) -> list[Mapping[str, Any]]:
    return [
        {"tenant_id": key[0], "connection_id": key[1], "public_url": url, "version": version}
        for url, version in sorted(tally.signatures.items())
    ]
