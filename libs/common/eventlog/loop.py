"""The consumer loop: records to committed rows, once in effect, whatever fails.

A session is one reader's life. It ends, and a new one begins, when partitions were lost to another
process, when the reader got stuck or jumped, and when the log or the database is away. The loop
itself ends when it is told to, or with an error that only an operator can mend.
"""

import asyncio
from collections.abc import Collection, Sequence

import structlog

from libs.common import faults, metrics
from libs.common.clock import Clock
from libs.common.db import positions
from libs.common.db.database import Database
from libs.common.db.positions import Claim, Fenced
from libs.common.eventlog.batch import Committer, Handler, LoopSettings
from libs.common.eventlog.dead_letter import Buried, DeadLetterBudgetExhausted
from libs.common.eventlog.heartbeat import Heartbeat, ReaderBroken, Stalled, Watchdog
from libs.common.eventlog.lag import Lag
from libs.common.eventlog.loop_claims import Claims, Hole, Skipped
from libs.common.eventlog.loop_errors import Poison, waits
from libs.common.eventlog.port import (
    EventLog,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
    PartitionEnds,
    Reader,
    Record,
)
from libs.common.retry import Backoff

__all__ = [
    "Buried",
    "ConsumerLoop",
    "DeadLetterBudgetExhausted",
    "Handler",
    "LoopSettings",
    "Poison",
    "PositionLost",
    "ReaderBroken",
]
log = structlog.get_logger()
_DEFAULTS = LoopSettings()


class PositionLost(Exception):
    """The log no longer keeps what comes next; an operator has to decide what that means."""

    def __init__(self, group: str, partition: Partition, at: int, ends: PartitionEnds) -> None:
        super().__init__(
            f"{group} stands at {at} of {partition.topic}/{partition.number}, but the log keeps"
            f" [{ends.start}, {ends.end}): what lies between is lost to it. Rebuild, or set the"
            " position on purpose (docs/adr/0006-consumer-loop.md)"
        )
        self.partition, self.at, self.ends = partition, at, ends


class ConsumerLoop:
    """A `Worker` that keeps one reader of a group at work. `schema` holds positions and outbox."""

    def __init__(
        self,
        log: EventLog,
        database: Database,
        schema: str,
        topics: Sequence[str],
        group: str,
        member: str,
        handler: Handler,
        clock: Clock,
        settings: LoopSettings = _DEFAULTS,
    ) -> None:
        self.name = f"{group}-loop"
        self._log, self._database, self._schema = log, database, schema
        self._topics, self._group, self._member = topics, group, member
        self._clock, self._settings = clock, settings
        self.heartbeat = Heartbeat(clock, 2 * settings.stall_seconds)
        self._claims = Claims(log, database, schema, group, member)
        self._lag = Lag(log, topics, group, self._claims, clock, settings.look_seconds)
        self._committer = Committer(
            database, schema, group, handler, clock, settings, self._claims, self.heartbeat,
            self._lag.meanwhile,
        )  # fmt: skip
        self._watchdog = Watchdog(settings.stall_seconds, settings.stalls)
        self._backoff = Backoff(0.1, settings.max_backoff)
        self._doubted: Hole | None = None
        self._excused = 0.0
        """Seconds at the database: an outage, or a backlog of other partitions, which the client
        hands out first. They are not the reader's to answer for."""
        self._looked_at = clock.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Read and commit until `stop`; raises what only an operator can mend."""
        metrics.show_consumer(self._group, self._topics)
        while not stop.is_set():
            try:
                await self._session(stop)
            except Exception as error:
                if not self._survives(error):
                    log.error("consumer_stopped", group=self._group, error=error)
                    raise
                log.warning("consumer_session_ended", group=self._group, error=error)
                self.heartbeat.beat()
                self._lag.older()
                await self._backoff.pause(stop)

    async def check(self) -> str | None:
        """A check for readiness or liveness: whether the loop has turned lately."""
        return await self.heartbeat.check()

    def _survives(self, error: Exception) -> bool:
        """Whether a new session may mend it."""
        if isinstance(error, Fenced):
            metrics.CONSUMER_FENCED.labels(self._group).inc()
        if isinstance(error, Stalled):
            metrics.CONSUMER_STALLS.labels(self._group).inc()
        return isinstance(error, Fenced | Stalled | Skipped) or waits(error)

    async def _session(self, stop: asyncio.Event) -> None:
        """One reader's life: from joining the group until it is stopped or given up."""
        reader = self._log.reader(self._topics, self._group, self._member)

        async def assigned(partitions: Collection[Partition]) -> None:
            metrics.CONSUMER_REBALANCES.labels(self._group).inc()
            await self._claims.take(partitions)
            for partition in partitions:
                reader.seek(partition, self._claims.at()[partition])

        async def revoked(partitions: Collection[Partition]) -> None:
            self._claims.drop(partitions)

        self._watchdog.restart()
        try:
            await reader.start(assigned, revoked)
            while not stop.is_set():
                await self._turn(reader, stop)
        finally:
            self._claims.clear()
            await reader.stop()

    async def _turn(self, reader: Reader, stop: asyncio.Event) -> None:
        self.heartbeat.beat()
        records = await self._fresh(await self._read(reader))
        if records:
            started = self._clock.monotonic()
            await self._committer.commit(records, stop)
            self._excused += self._clock.monotonic() - started
            faults.hit("loop.before_report")
            await self._report(reader)
            self._backoff.reset()
        if self._clock.monotonic() - self._looked_at >= self._settings.look_seconds:
            await self._look()

    async def _read(self, reader: Reader) -> Sequence[Record]:
        """A reader that does not even come back is as stuck as one that brings nothing."""
        wait = self._settings.max_wait
        try:
            async with asyncio.timeout(wait + self._settings.stall_seconds) as deadline:
                records = await reader.read(self._committer.size, wait)
        except TimeoutError:
            if not deadline.expired():
                raise
            self._watchdog.silent()
        except OffsetOutOfRange as error:
            raise PositionLost(self._group, error.partition, error.offset, error.ends) from error
        self._watchdog.answered()
        return records

    async def _fresh(self, records: Sequence[Record]) -> list[Record]:
        """What is to be committed of it. A hole is believed when a second reader finds it too."""
        while True:
            try:
                return self._claims.fresh(records)
            except Skipped as error:
                if error.hole != self._doubted:
                    self._doubted = error.hole
                    raise
                await self._believe(error.hole)

    async def _believe(self, hole: Hole) -> None:
        """Transactions and compaction leave holes; retention may only do so with an operator."""
        ends = (await self._log.ends(hole.partition.topic))[hole.partition]
        if hole.expected < ends.start:
            raise PositionLost(self._group, hole.partition, hole.expected, ends)
        log.warning("hole_in_log", group=self._group, partition=str(hole.partition),
                    expected=hole.expected, found=hole.found)  # fmt: skip
        self._claims.believe(hole)

    async def _report(self, reader: Reader) -> None:
        """For lag tools only: our own positions are what counts."""
        try:
            await reader.report(self._claims.at())
        except LogUnavailable as error:
            log.info("positions_not_reported", group=self._group, error=error)

    async def _look(self) -> None:
        """Now and then: how far behind are we, is a partition stuck, which ones are idle?"""
        lags = await self._lag.measure()
        started = self._clock.monotonic()
        await self._mark_idle(self._claims.idle(lags))
        self._looked_at = self._clock.monotonic()
        self._excused += self._looked_at - started
        self._watchdog.look(lags, self._claims.at(), self._looked_at - self._excused)

    async def _mark_idle(self, claims: Sequence[Claim]) -> None:
        """Without the database it is left to a later look: reading goes on, so that lag is seen."""
        try:
            async with self._database.across_tenants() as tx:
                await positions.mark_idle(tx, self._schema, self._group, claims)
        except Exception as error:
            if not waits(error):
                raise
            log.warning("idle_not_marked", group=self._group, error=error)
