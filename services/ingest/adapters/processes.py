"""Heartbeats: each process tells what it has not appended yet, which holds the watermark back."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import structlog
from sqlalchemy import text

from libs.common.db.database import Database
from services.ingest.adapters.transactions import worker_transaction
from services.ingest.app.ports import IndexUnavailable
from services.ingest.settings import IngestSettings

_BEAT = text("""
    INSERT INTO ingest.processes (process_id, oldest_unappended, updated_at)
    VALUES (:process_id, :oldest, now())
    ON CONFLICT (process_id) DO UPDATE
    SET oldest_unappended = excluded.oldest_unappended, updated_at = excluded.updated_at
""")
_SWEEP = text("""
    DELETE FROM ingest.processes WHERE updated_at < now() - make_interval(secs => :age)
""")
_LEAVE = text("DELETE FROM ingest.processes WHERE process_id = :process_id")
_log = structlog.get_logger(__name__)


class Heartbeat:
    """Writes `oldest()` every second, and removes rows of processes that are gone.

    What a dead process had not appended it had not acknowledged either, so nothing is lost with it.
    """

    def __init__(
        self,
        database: Database,
        process_id: str,
        oldest: Callable[[], datetime | None],
        settings: IngestSettings,
    ) -> None:
        self._database, self._process_id = database, process_id
        self._oldest, self._settings = oldest, settings
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Announce this process before it serves; goes on without PostgreSQL."""
        await self._try_beat()
        self._task = asyncio.create_task(self._run(), name="ingest-heartbeat")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        with suppress(IndexUnavailable):
            async with worker_transaction(self._database) as tx:
                await tx.execute(_LEAVE, {"process_id": self._process_id})

    async def beat(self) -> None:
        async with worker_transaction(self._database) as tx:
            values = {"process_id": self._process_id, "oldest": self._oldest()}
            await tx.execute(_BEAT, values)
            await tx.execute(_SWEEP, {"age": self._settings.heartbeat_stale})

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat)
            await self._try_beat()

    async def _try_beat(self) -> None:
        try:
            await self.beat()
        except IndexUnavailable as error:
            _log.warning("ingest_heartbeat_missed", error=repr(error))
