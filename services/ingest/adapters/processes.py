"""Heartbeats: each process tells what it has not appended yet, which holds the watermark back."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy import text

from libs.common.clock import Clock
from libs.common.db.database import Database
from services.ingest.adapters.transactions import worker_transaction
from services.ingest.app.ports import IndexUnavailable
from services.ingest.settings import IngestSettings

_BEAT = text("""
    INSERT INTO ingest.processes (process_id, oldest_unappended, spools, spooled_since, updated_at)
    VALUES (:process_id, LEAST(CAST(:oldest AS timestamptz), CAST(:spooled AS timestamptz)),
        CAST(:spools AS text[]), :spooled, now())
    ON CONFLICT (process_id) DO UPDATE
    SET oldest_unappended = excluded.oldest_unappended, spools = excluded.spools,
        spooled_since = excluded.spooled_since, updated_at = excluded.updated_at
""")
_INHERIT = text("""
    DELETE FROM ingest.processes
    WHERE process_id <> :process_id AND spools && CAST(:spools AS text[])
""")
_SWEEP = text("""
    DELETE FROM ingest.processes
    WHERE updated_at < now() - make_interval(secs => :age) AND spooled_since IS NULL
""")
_LEAVE = text("""
    DELETE FROM ingest.processes WHERE process_id = :process_id AND spooled_since IS NULL
""")
_log = structlog.get_logger(__name__)


class Waiting(Protocol):
    """The spools of the process."""

    @property
    def names(self) -> Sequence[str]: ...

    def oldest(self) -> datetime | None: ...


class Heartbeat:
    """Writes all the time since when events wait, and removes rows of processes that are gone.

    What a dead process had in flight it had not acknowledged, so nothing is lost with its row. What
    lies in its spool it had: that row stays, and holds the watermark, until another process has
    taken the spool over. After a silence of the database everybody gets time to speak again first.
    """

    def __init__(
        self,
        database: Database,
        process_id: str,
        in_flight: Callable[[], datetime | None],
        spools: Waiting,
        clock: Clock,
        settings: IngestSettings,
    ) -> None:
        self._database, self._process_id = database, process_id
        self._in_flight, self._spools = in_flight, spools
        self._clock, self._settings = clock, settings
        self._steady_since: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Announce this process before it serves; goes on without PostgreSQL."""
        await self._try_beat()
        self._task = asyncio.create_task(self._run(), name="ingest-heartbeat")

    async def stop(self) -> None:
        """A last word; the row goes unless events are left in the spool."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        with suppress(IndexUnavailable):
            await self.beat()
            async with worker_transaction(self._database) as tx:
                await tx.execute(_LEAVE, {"process_id": self._process_id})

    async def beat(self) -> None:
        """The instant is the database's, so the look comes last: what it says is true by then."""
        async with worker_transaction(self._database) as tx:
            who = {"process_id": self._process_id, "spools": list(self._spools.names)}
            since = {"oldest": self._in_flight(), "spooled": self._spools.oldest()}
            await tx.execute(_BEAT, who | since)
            await tx.execute(_INHERIT, who)
            if self._steady():
                await tx.execute(_SWEEP, {"age": self._settings.heartbeat_stale})

    def _steady(self) -> bool:
        """Whether the database has answered for so long that who is silent is gone."""
        now = self._clock.monotonic()
        if self._steady_since is None:
            self._steady_since = now
        return now - self._steady_since >= self._settings.heartbeat_stale

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat)
            await self._try_beat()

    async def _try_beat(self) -> None:
        try:
            await self.beat()
        except IndexUnavailable as error:
            self._steady_since = None
            _log.warning("ingest_heartbeat_missed", error=error)
