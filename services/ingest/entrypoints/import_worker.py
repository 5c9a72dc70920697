"""The worker that runs imports, one at a time, as they come."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from libs.common import metrics
from libs.common.clock import Clock
from services.ingest.adapters.import_files import ImportFiles
from services.ingest.adapters.imports import SqlClaims
from services.ingest.app.imports import Claim
from services.ingest.app.ports import IndexUnavailable
from services.ingest.app.run_import import ImportRunner
from services.ingest.settings import IngestSettings

SWEEP_EVERY = 60.0
SWEEP_AGE = 60.0
"""Seconds after which the commit of an import whose answer was lost has happened, or never will."""
_log = structlog.get_logger(__name__)


class ImportWorker:
    """Claims and runs imports until told to stop; `wake` saves waiting for the next look."""

    name = "ingest-imports"

    def __init__(
        self,
        runner: ImportRunner,
        claims: SqlClaims,
        files: ImportFiles,
        clock: Clock,
        settings: IngestSettings,
    ) -> None:
        self._runner, self._claims, self._files = runner, claims, files
        self._clock, self._settings = clock, settings
        self._woken = asyncio.Event()
        self._sweep_at = float("-inf")

    def wake(self) -> None:
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        metrics.show_imports()
        while not stop.is_set():
            await self._sweep()
            claim = await self._claim()
            if claim is not None:
                await self._runner.run(claim, stop)
            else:
                await self._rest(stop)

    async def _claim(self) -> Claim | None:
        self._woken.clear()
        try:
            metrics.INGEST_IMPORTS_RUNNING.set(await self._claims.running())
            return await self._claims.claim()
        except IndexUnavailable as error:
            _log.warning("imports_not_reachable", error=error)
            return None

    async def _rest(self, stop: asyncio.Event) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (stop, self._woken)]
        await asyncio.wait(
            waits, timeout=self._settings.import_poll, return_when=asyncio.FIRST_COMPLETED
        )
        for wait in waits:
            wait.cancel()

    async def _sweep(self) -> None:
        """At the start, and each minute, remove what a crash left behind before it became an
        import."""
        if self._clock.monotonic() < self._sweep_at:
            return
        self._sweep_at = self._clock.monotonic() + SWEEP_EVERY
        with suppress(IndexUnavailable, OSError):
            await asyncio.to_thread(self._files.remove_parts)
            before = self._clock.now().timestamp() - SWEEP_AGE
            await self._remove(await asyncio.to_thread(self._files.unheld, before))

    async def _remove(self, unheld: Sequence[str]) -> None:
        """Asked afterwards: what nobody held any more by then is known, if it became an import."""
        keep = await self._claims.running_paths() if unheld else set()
        for name in set(unheld) - keep:
            await asyncio.to_thread(self._files.remove, name)
