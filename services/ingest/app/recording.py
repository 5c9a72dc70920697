"""Record mode: deliveries of connections that ask for it are kept, beside the way in.

Nothing here holds a delivery up or fails it: what is too much, or cannot be written, is not
recorded, and counted.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from libs.common import metrics
from libs.common.clock import Clock
from services.ingest.app.ports import IndexUnavailable
from services.ingest.domain.pseudonyms import tenant_key
from services.ingest.domain.recording import Recorded, Taken, recorded

EVERY = 1.0
PRUNE_EVERY = 60.0
MOST = 100
"""Deliveries of a second, in each process."""
KEPT_FOR = timedelta(days=30)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """A recorded delivery and whose it is."""

    taken: Taken
    recorded: Recorded


class Recordings(Protocol):
    """Where they are kept; raises `IndexUnavailable`."""

    async def keep(self, kept: Sequence[Kept]) -> None: ...

    async def prune(self, kept_for: timedelta) -> None:
        """Forget what is older."""
        ...


class Recorder:
    """`key` is the one that the keys of tenants are made of."""

    def __init__(self, recordings: Recordings, key: bytes, clock: Clock) -> None:
        self._recordings, self._key, self._clock = recordings, key, clock
        self._waiting: list[Taken] = []
        self._task: asyncio.Task[None] | None = None
        self._prune_at = float("-inf")

    def offer(self, taken: Taken) -> None:
        """Record it, if its connection asks for that and there is room."""
        until = taken.live.record_until
        if until is None or taken.at >= until:
            return
        if len(self._waiting) >= MOST:
            metrics.INGEST_RECORDED.labels("dropped").inc()
            return
        self._waiting.append(taken)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="ingest-recorder")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.write()

    async def write(self) -> None:
        """Redact and keep what waits."""
        taken, self._waiting = self._waiting, []
        if not taken:
            return
        kept = await asyncio.to_thread(self._redacted, taken)
        try:
            await self._recordings.keep(kept)
        except Exception as error:  # noqa: BLE001  it must not end recording
            metrics.INGEST_RECORDED.labels("failed").inc(len(kept))
            name = type(error).__name__
            _log.warning("deliveries_not_recorded", deliveries=len(kept), error=name)
        else:
            metrics.INGEST_RECORDED.labels("kept").inc(len(kept))

    def _redacted(self, taken: Sequence[Taken]) -> Sequence[Kept]:
        return [kept for one in taken if (kept := self._one(one)) is not None]

    def _one(self, taken: Taken) -> Kept | None:
        """A fault of ours must not end recording; its text may quote the CRM."""
        try:
            key = tenant_key(self._key, taken.live.tenant_id)
            return Kept(taken, recorded(taken, key))
        except Exception as error:  # noqa: BLE001  it must not end recording
            metrics.INGEST_RECORDED.labels("failed").inc()
            name = type(error).__name__
            _log.error("redaction_failed", connection=taken.live.connection_id, error=name)
            return None

    async def _run(self) -> None:
        while True:
            await self.write()
            if self._clock.monotonic() >= self._prune_at:
                self._prune_at = self._clock.monotonic() + PRUNE_EVERY
                await self._prune()
            await asyncio.sleep(EVERY)

    async def _prune(self) -> None:
        try:
            await self._recordings.prune(KEPT_FOR)
        except IndexUnavailable as error:
            _log.warning("recorded_deliveries_not_pruned", error=error)
