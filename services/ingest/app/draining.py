"""The drainer: the spool's frames into the log, in their order, as soon as the log takes them."""

import asyncio
from collections.abc import Sequence

import structlog

from libs.common import faults, metrics
from libs.common.clock import Clock
from libs.common.eventlog.port import EventLog, LogError, RecordTooLarge
from libs.common.retry import Backoff
from services.ingest.app.appending import append_all
from services.ingest.app.ports import Appended, Index, IndexUnavailable, Place
from services.ingest.app.spool import Spool
from services.ingest.domain.frames import candidate_of
from services.ingest.domain.model import Candidate
from services.ingest.settings import IngestSettings

_Frame = tuple[Place, bytes]
_PROBE, _GROWTH = 20, 4
_log = structlog.get_logger(__name__)


class Drainer:
    """Runs until it is stopped; what it leaves, the next start finds."""

    def __init__(
        self, spool: Spool, log: EventLog, index: Index, clock: Clock, settings: IngestSettings
    ) -> None:
        self._spool, self._log, self._index = spool, log, index
        self._clock, self._settings = clock, settings
        self._backoff = Backoff(settings.drain_first_pause, settings.drain_longest_pause)
        self._most = settings.max_group

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        while not stop.is_set():
            await _first(stop, self._spool.filled)
            await self.empty(stop)

    async def empty(self, stop: asyncio.Event) -> None:
        """Until nothing is left, or `stop`."""
        while len(self._spool) and not stop.is_set():
            await self._attempt(stop)

    async def _attempt(self, stop: asyncio.Event) -> None:
        """One batch; whatever goes wrong, the frames stay and are tried again.

        After a failure batches begin small again: a log that is away is asked with little, and one
        that is slow takes in its time what it could not take at once.
        """
        try:
            await self._next_batch()
        except (LogError, TimeoutError) as error:
            self._spool.log.failed()
            _log.warning("spool_waits", events=len(self._spool), error=error)
        except (IndexUnavailable, OSError) as error:
            self._spool.log.forget()  # the log was not asked: others have to
            _log.warning("spool_waits", events=len(self._spool), error=error)
        except Exception:  # noqa: BLE001  # told loudly, and nothing is lost by trying again
            self._spool.log.forget()
            _log.exception("spool_stuck", events=len(self._spool))
        else:
            self._spool.log.answered()
            self._most = min(self._most * _GROWTH, self._settings.max_group)
            self._backoff.reset()
            return
        self._most = _PROBE
        await self._backoff.pause(stop)

    async def _next_batch(self) -> None:
        frames = await self._spool.head(self._most)
        if frames:
            await self._drain(frames)
        else:
            await self._spool.recount()

    async def _drain(self, frames: Sequence[_Frame]) -> None:
        """One append; a record that the log refuses for good is kept apart from its neighbours."""
        try:
            appended = await self._append([_candidate(frame) for frame in frames])
        except RecordTooLarge as error:
            if len(frames) > 1:
                for frame in frames:
                    await self._drain([frame])
                return
            await self._refuse(_candidate(frames[0]), error)
            appended = []
        faults.hit("ingest.spool.drained")
        await self._remember(appended)
        await self._spool.drop(frames)
        metrics.SPOOL_DRAINED.inc(len(frames))

    async def _append(self, candidates: Sequence[Candidate]) -> Sequence[Appended]:
        async with asyncio.timeout(self._settings.append_limit):
            return await append_all(self._log, candidates)

    async def _refuse(self, candidate: Candidate, error: RecordTooLarge) -> None:
        _log.error("spooled_event_refused", tenant=candidate.envelope.tenant_id, error=error)
        await self._index.keep_refused(candidate, self._clock.now(), str(error))

    async def _remember(self, appended: Sequence[Appended]) -> None:
        """As at the door: a failure costs a repetition its early answer, nothing else."""
        try:
            async with asyncio.timeout(self._settings.index_deadline):
                await self._index.write(appended)
        except (IndexUnavailable, TimeoutError):
            metrics.INGEST_INDEX_FAILURES.inc(len(appended))
        except Exception:  # noqa: BLE001  # told loudly; whatever ails the index, events go on
            metrics.INGEST_INDEX_FAILURES.inc(len(appended))
            _log.exception("spool_index_failed", events=len(appended))


def _candidate(frame: _Frame) -> Candidate:
    return candidate_of(frame[1])


async def _first(*events: asyncio.Event) -> None:
    """Until one of them is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
