"""Where accepted events are durable: in the log, or in the spool; none overtakes one of its key."""

import asyncio
from collections.abc import Sequence

import structlog

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.eventlog.port import EventLog, LogUnavailable, UnknownTopic
from services.ingest.app.appending import append_each
from services.ingest.app.grouped import Overloaded
from services.ingest.app.groups import group
from services.ingest.app.ports import Appended, RefusedByLog, SpoolFull
from services.ingest.app.spools import Spools
from services.ingest.domain.model import Candidate
from services.ingest.settings import IngestSettings

_log = structlog.get_logger(__name__)
Placed = Appended | RefusedByLog
"""What became of an event: it is durable, or nowhere and never will be."""


class Placer:
    """Groups what concurrent requests append."""

    def __init__(
        self, log: EventLog, spools: Spools, clock: Clock, settings: IngestSettings
    ) -> None:
        self._log, self._spools = log, spools
        self._clock, self._settings = clock, settings
        self._appends = group(self._append_records, settings.append_limit, settings)

    @property
    def waiting(self) -> int:
        """Events that wait for the log."""
        return self._appends.waiting

    async def close(self, seconds: float) -> None:
        await self._appends.close(seconds)

    async def place(self, fresh: Sequence[Candidate], until: float, due: float) -> Sequence[Placed]:
        """Into the log, or, where it must not or cannot go there, into the spool, which is left its
        time before `due`. After `until` the log is not asked for what the spool did not take."""
        direct = [candidate for candidate in fresh if self._goes_directly(candidate)]
        chosen = set(map(id, direct))
        spooled = [candidate for candidate in fresh if id(candidate) not in chosen]
        with self._spools.own.underway.hold(direct, spooled):
            if not spooled:
                return await self._log_first(direct, due)
            if not direct:
                return await self._put(spooled, until)
            return await self._both(direct, spooled, until, due)

    def _goes_directly(self, candidate: Candidate) -> bool:
        """Behind those of its key that are under way, whither the last of them goes."""
        spool = self._spools.own
        to_spool = spool.underway.heading(candidate.log_key)
        return not (spool.takes(candidate) if to_spool is None else to_spool)

    async def _both(
        self, direct: Sequence[Candidate], spooled: Sequence[Candidate], until: float, due: float
    ) -> Sequence[Placed]:
        """At once: what waited for the rest of its delivery would be overtaken in the spool."""
        putting = asyncio.create_task(self._put(spooled, until), name="spool-put")
        try:
            return [*await self._log_first(direct, due), *await putting]
        finally:
            putting.cancel()
            await asyncio.gather(putting, return_exceptions=True)

    async def _log_first(self, direct: Sequence[Candidate], due: float) -> Sequence[Placed]:
        """Into the spool goes what the log does not acknowledge in time, or what would overtake
        such a one; in their order, since the loop wakes requests in the order of their failures."""
        spare = due - self._clock.monotonic() - self._settings.spool_deadline
        seconds = min(self._settings.append_deadline, spare)
        try:
            told = await self._append_directly(direct, seconds)
        except Overloaded as crowd:
            return await self._put_instead(direct, crowd)
        if len(told) == len(direct):
            return told
        placed = {id(entry.candidate) for entry in told}
        left = [candidate for candidate in direct if id(candidate) not in placed]
        return [*told, *await self._put(left, float("-inf"))]

    async def _put_instead(
        self, direct: Sequence[Candidate], crowd: Overloaded
    ) -> Sequence[Placed]:
        """What found no room before the log, at once: of the log itself that says nothing. Raises
        `crowd` if the spool does not take them either."""
        try:
            return await self._put(direct, float("-inf"))
        except (SpoolFull, Overloaded, TimeoutError) as error:
            raise crowd from error

    async def _put(self, waiting: Sequence[Candidate], until: float) -> Sequence[Placed]:
        """Into the spool; if that fails, before `until` into the log after all, as long as nothing
        is overtaken there. Raises what the spool raised if neither takes them."""
        spool = self._spools.own
        spool.underway.turn(waiting, to_spool=True)
        try:
            await spool.put(waiting)
        except (SpoolFull, Overloaded, TimeoutError) as error:
            seconds = min(self._settings.append_deadline, until - self._clock.monotonic())
            if seconds <= 0 or any(map(spool.bars, waiting)):
                raise
            _log.warning("spool_did_not_take", events=len(waiting), error=error)
            spool.underway.turn(waiting, to_spool=False)
            told = await self._append_directly(waiting, seconds)
            if len(told) < len(waiting):
                raise
            return told
        return [Appended(candidate) for candidate in waiting]

    async def _append_directly(
        self, direct: Sequence[Candidate], seconds: float
    ) -> Sequence[Placed]:
        """Those that are in the log, or refused by it: nothing if it did not acknowledge in time;
        it may still have taken them, and what comes twice has one effect. Raises `Overloaded` where
        no room is left to wait for it."""
        if not direct or seconds <= 0:
            return []
        log = self._spools.own.log
        try:
            async with asyncio.timeout(seconds):
                told = await self._appends.submit(direct, direct[0].envelope.tenant_id)
        except (TimeoutError, LogUnavailable, UnknownTopic) as error:
            log.failed()
            _log.warning("log_did_not_acknowledge", events=len(direct), error=error)
            return []
        placed = [entry for entry in told if entry is not None]
        if placed:
            log.answered()
        return placed

    async def _append_records(self, queued: Sequence[Candidate]) -> Sequence[Placed | None]:
        """Nothing of those that would overtake one: since they were queued it has failed, or is in
        the spool."""
        metrics.INGEST_WAITING.set(self.waiting)
        spool = self._spools.own
        going = [one for one in spool.underway.in_turn(queued) if not spool.bars(one)]
        told = await append_each(self._log, going) if going else ()
        spool.underway.placed(going)
        if len(going) == len(queued):
            return told
        entries = {id(entry.candidate): entry for entry in told}
        return [entries.get(id(one)) for one in queued]
