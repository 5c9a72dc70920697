"""The relay: outbox rows to the log, in id order, one relay at a time.

Append first, mark afterwards: a crash in between repeats records byte for byte, which readers see
by their ids. The lease keeps two relays from interleaving; it is advice, repeats stay harmless.
"""

import asyncio
from collections.abc import Sequence
from itertools import groupby

import structlog

from libs.common import faults, metrics
from libs.common.clock import Clock
from libs.common.db import outbox
from libs.common.db.database import Database
from libs.common.db.errors import is_transient
from libs.common.db.leases import Lease
from libs.common.db.outbox import Pending
from libs.common.eventlog.port import EventLog, LogUnavailable

log = structlog.get_logger()
CHUNK = 1_000
POLL = 0.1


class OutboxRelay:
    """A `Worker` that publishes one schema's outbox."""

    def __init__(
        self, schema: str, database: Database, log: EventLog, clock: Clock, owner: str
    ) -> None:
        self.name = f"{schema}-relay"
        self._schema, self._database, self._log, self._clock = schema, database, log, clock
        self._lease = Lease(schema, "outbox-relay", owner)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at once: a transaction of this process has written rows."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        backoff = POLL
        while not stop.is_set():
            try:
                busy = await self.publish()
                backoff = POLL
            except Exception as error:
                if not isinstance(error, LogUnavailable) and not is_transient(error):
                    raise
                log.warning("relay_waits", schema=self._schema, error=repr(error))
                busy, backoff = False, min(backoff * 2, 5)
            if not busy:
                await self._rest(stop, backoff)

    async def publish(self) -> bool:
        """Publish the oldest rows; whether there were any."""
        async with self._database.across_tenants() as tx:
            if await self._lease.hold(tx) is None:
                return False
            rows = await outbox.claim(tx, self._schema, CHUNK)
            oldest = await outbox.oldest_pending_at(tx, self._schema) if rows else None
        age = (self._clock.now() - oldest).total_seconds() if oldest else 0
        metrics.OUTBOX_PENDING_SECONDS.labels(self._schema).set(max(0, age))
        if not rows:
            return False
        await self._append(rows)
        faults.hit("relay.before_mark")
        async with self._database.across_tenants() as tx:
            await outbox.mark_published(tx, self._schema, rows)
        metrics.OUTBOX_PUBLISHED.labels(self._schema).inc(len(rows))
        return True

    async def _append(self, rows: Sequence[Pending]) -> None:
        """In runs of one topic, so that the order of ids is the order of the log."""
        for topic, run in groupby(rows, key=lambda row: row.topic):
            await self._log.append(topic, [row.record for row in run])
            faults.hit("relay.after_append")

    async def _rest(self, stop: asyncio.Event, seconds: float) -> None:
        stopping = asyncio.ensure_future(stop.wait())
        waking = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait(
                (stopping, waking), timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            stopping.cancel()
            waking.cancel()
            self._woken.clear()
