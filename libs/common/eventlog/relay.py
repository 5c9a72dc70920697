"""The relay: outbox rows to the log, in id order, one relay at a time.

Append first, mark afterwards: a crash in between repeats records byte for byte, which readers see
by their ids. The lease keeps two relays from interleaving. It is checked again before each append,
so only a process that is stopped within an append can bring old records late; readers take those
for the repetitions that they are.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from libs.common import faults, metrics
from libs.common.clock import Clock
from libs.common.db import outbox
from libs.common.db.database import Database
from libs.common.db.leases import Lease
from libs.common.db.outbox import Pending
from libs.common.eventlog.loop_errors import waits
from libs.common.eventlog.port import EventLog, RecordTooLarge
from libs.common.retry import Backoff

log = structlog.get_logger()
CHUNK = 1_000
POLL = 0.1
ASK = 1.0
LONGEST_WAIT = 5.0
HOUSEKEEPING = 3600.0
LATE = 60.0
"""Age in seconds of the oldest row from which on the relay is not ready."""


class LeaseExpired(Exception):
    """Another relay may be at work by now: look again who holds the lease."""


class OutboxRelay:
    """A `Worker` that publishes one schema's outbox. `owner` is unique among processes."""

    def __init__(
        self, schema: str, database: Database, log: EventLog, clock: Clock, owner: str
    ) -> None:
        self.name = f"{schema}-relay"
        self._schema, self._database, self._log, self._clock = schema, database, log, clock
        self._lease = Lease(schema, "outbox-relay", owner)
        self._ask_at = self._held_until = clock.monotonic()
        self._woken = asyncio.Event()
        self._kept_at: float | None = None
        self._age = 0.0

    def wake(self) -> None:
        """Look at once: a transaction of this process has written rows."""
        self._woken.set()

    async def check(self) -> str | None:
        """A readiness check: is the outbox flowing, as far as this process is its relay?"""
        return f"outbox rows wait for {self._age:.0f} s" if self._age > LATE else None

    async def pending(self) -> bool:
        """Whether anything that is committed has not been published yet."""
        async with self._database.across_tenants() as tx:
            return await outbox.newest_pending(tx, self._schema) is not None

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop`, then leave the lease to the next one."""
        metrics.show_relay(self._schema)
        backoff = Backoff(POLL, LONGEST_WAIT)
        while not stop.is_set():
            try:
                if not await self.publish():
                    await self._rest(stop)
                backoff.reset()
            except Exception as error:
                if not isinstance(error, LeaseExpired) and not waits(error):
                    log.error("relay_stopped", schema=self._schema, error=error)
                    raise
                log.warning("relay_waits", schema=self._schema, error=error)
                await backoff.pause(stop)
        await self._release()

    async def publish(self) -> bool:
        """Publish the oldest rows; whether there were any that are ours to publish."""
        rows = await self._claim()
        if not rows:
            return False
        for topic, part in _by_topic(rows).items():
            await self._append(topic, part)
            faults.hit("relay.after_append")
        faults.hit("relay.before_mark")
        async with self._database.across_tenants() as tx:
            await outbox.mark_published(tx, self._schema, rows)
        metrics.OUTBOX_PUBLISHED.labels(self._schema).inc(len(rows))
        return True

    async def _claim(self) -> Sequence[Pending]:
        """The oldest rows, if the lease is ours."""
        if not await self._is_ours():
            return ()
        async with self._database.across_tenants() as tx:
            rows = await outbox.claim(tx, self._schema, CHUNK)
        self._age = self._show_age(rows[0].created_at if rows else None)
        return rows

    async def _is_ours(self) -> bool:
        """Hold the lease: an owner renews it at half time, the others ask once a second."""
        now = self._clock.monotonic()
        if now < self._ask_at:
            return now < self._held_until
        async with self._database.across_tenants() as tx:
            token = await self._lease.hold(tx)
            oldest = await outbox.oldest_pending_at(tx, self._schema) if token is None else None
        if token is None:
            self._ask_at, self._held_until = now + ASK, now
            self._stand_by(oldest)
            return False
        self._ask_at, self._held_until = now + self._lease.seconds / 2, now + self._lease.seconds
        await self._keep_house(now)
        return True

    async def _keep_house(self, now: float) -> None:
        """Partitions for the days to come, and none for days long gone. It can wait for a lock."""
        if self._kept_at is not None and now - self._kept_at < HOUSEKEEPING:
            return
        self._kept_at = now
        try:
            async with self._database.across_tenants() as tx:
                changes = await outbox.keep_partitions(tx, self._schema)
        except Exception as error:
            if not waits(error):
                raise
            log.warning("outbox_partitions_later", schema=self._schema, error=error)
        else:
            for change in changes:
                log.info("outbox_partition", schema=self._schema, change=change)

    def _stand_by(self, oldest: datetime | None) -> None:
        """Another is the relay. What waits is told all the same: it may hang, or be gone."""
        self._show_age(oldest)
        self._age = 0.0

    def _show_age(self, oldest: datetime | None) -> float:
        """How long the oldest row has waited, in seconds; 0 where none waits."""
        age = (self._clock.now() - oldest).total_seconds() if oldest else 0.0
        age = max(0.0, age)
        metrics.OUTBOX_OLDEST_AGE.labels(self._schema).set(age)
        return age

    async def _append(self, topic: str, rows: Sequence[Pending]) -> None:
        """Append in order. A record that the log refuses for its size must not stop all others."""
        if self._clock.monotonic() >= self._held_until:
            raise LeaseExpired(f"the lease on the outbox of {self._schema} ran out meanwhile")
        try:
            await self._log.append(topic, [row.record for row in rows])
        except RecordTooLarge as error:
            if len(rows) == 1:
                self._give_up(rows[0], error)
                return
            middle = len(rows) // 2
            await self._append(topic, rows[:middle])
            await self._append(topic, rows[middle:])

    def _give_up(self, row: Pending, error: RecordTooLarge) -> None:
        """Its row stays in the outbox for as long as its day is kept."""
        metrics.OUTBOX_REFUSED.labels(self._schema).inc()
        log.error("record_refused_by_log", schema=self._schema, topic=row.topic, outbox_id=row.id,
                  size=len(row.record.value or b""), error=error)  # fmt: skip

    async def _rest(self, stop: asyncio.Event) -> None:
        """Until rows are told of, or the next look is due."""
        waiting = [asyncio.create_task(e.wait()) for e in (stop, self._woken)]
        try:
            await asyncio.wait(waiting, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            self._woken.clear()

    async def _release(self) -> None:
        try:
            async with self._database.across_tenants() as tx:
                await self._lease.release(tx)
        except Exception as error:
            if not waits(error):
                raise
            log.info("lease_not_released", schema=self._schema, error=error)


def _by_topic(rows: Sequence[Pending]) -> Mapping[str, Sequence[Pending]]:
    """Only within a topic does order matter; one append for each keeps round trips few."""
    topics: dict[str, list[Pending]] = {}
    for row in rows:
        topics.setdefault(row.topic, []).append(row)
    return topics
