"""Retention of the embedded log: old records go, oldest first, and the log says from where on."""

import asyncio
from contextlib import suppress

import structlog

from libs.common.eventlog.port import LogUnavailable
from libs.common.eventlog.postgres_log import PostgresLog

log = structlog.get_logger()
CHUNK = 5_000
EVERY = 60.0
_AGED = """WITH old AS (
        SELECT r.topic, r.partition, r."offset" FROM log.partitions p
        JOIN log.topics t USING (topic)
        CROSS JOIN LATERAL (
            SELECT * FROM log.records r WHERE r.topic = p.topic AND r.partition = p.partition
            ORDER BY r."offset" LIMIT $1) r
        WHERE NOT t.compact AND r.appended_at < now() - t.retention
    ), gone AS (
        DELETE FROM log.records r USING old WHERE r.topic = old.topic
            AND r.partition = old.partition AND r."offset" = old."offset"
        RETURNING r.topic, r.partition, r."offset")
    UPDATE log.partitions p SET start_offset = g.next FROM (
        SELECT topic, partition, max("offset") + 1 AS next FROM gone GROUP BY 1, 2) g
    WHERE p.topic = g.topic AND p.partition = g.partition RETURNING 1"""
_OVERSIZED = """WITH sized AS (
        SELECT r.topic, r.partition, r."offset", t.retention_bytes,
            sum(coalesce(length(r.value), 0) + coalesce(length(r.key), 0)) OVER (
                PARTITION BY r.topic, r.partition ORDER BY r."offset" DESC) AS bytes
        FROM log.records r JOIN log.topics t USING (topic)
        WHERE t.retention_bytes IS NOT NULL AND NOT t.compact
    ), cut AS (
        SELECT topic, partition, max("offset") + 1 AS next FROM sized
        WHERE bytes > retention_bytes GROUP BY 1, 2
    ), gone AS (
        DELETE FROM log.records r USING cut WHERE r.topic = cut.topic
            AND r.partition = cut.partition AND r."offset" < cut.next)
    UPDATE log.partitions p SET start_offset = cut.next FROM cut
    WHERE p.topic = cut.topic AND p.partition = cut.partition RETURNING 1"""


async def retain(held: PostgresLog) -> None:
    """Drop what is older than its topic keeps, in chunks, and what is beyond its size."""
    more: list[object] = [None]
    while more:
        more = await held.fetch(_AGED, CHUNK)
    await held.fetch(_OVERSIZED)


class LogRetention:
    """A `Worker` that retains once a minute."""

    name = "log-retention"

    def __init__(self, held: PostgresLog) -> None:
        self._held = held

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await retain(self._held)
            except LogUnavailable as error:
                log.warning("retention_waits", error=error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY)
