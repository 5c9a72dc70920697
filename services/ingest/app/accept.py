"""Acceptance: look up, decide, append, remember. A 202 says that the log holds the event."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import structlog

from libs.common import faults, metrics
from libs.common.clock import Clock
from libs.common.eventlog.port import EventLog, LogUnavailable, UnknownTopic
from services.ingest.app.appending import append_all
from services.ingest.app.grouped import Grouped, Overloaded
from services.ingest.app.ports import Appended, Index, IndexUnavailable, Keeper, SpoolFull
from services.ingest.app.quotas import EventQuotas
from services.ingest.app.spools import Spools
from services.ingest.app.unappended import Unappended
from services.ingest.domain.conflicts import colliding
from services.ingest.domain.decide import decide
from services.ingest.domain.model import Candidate, Decision, EventKey, Examined, Receipt
from services.ingest.settings import IngestSettings

T = TypeVar("T")
R = TypeVar("R")
_log = structlog.get_logger(__name__)


class Acceptor:
    """Accepts deliveries of live events; groups the work of concurrent requests.

    The dedup index is a help, not a need: while it does not answer, events pass without it and the
    funnel's unique key makes their effect exact.
    """

    def __init__(
        self,
        log: EventLog,
        index: Index,
        clock: Clock,
        unappended: Unappended,
        spools: Spools,
        settings: IngestSettings,
        quotas: EventQuotas,
        keeper: Keeper,
    ) -> None:
        self._log, self._index, self._clock = log, index, clock
        self._unappended, self._spools, self._settings = unappended, spools, settings
        self._quotas, self._keeper = quotas, keeper
        self._index_rests_until = float("-inf")
        self._lookups = self._group(self._look_up, settings.lookup_deadline)
        self._appends = self._group(self._append_records, settings.append_limit)
        self._writes = self._group(self._write_index, settings.index_deadline)

    async def accept(self, receipt: Receipt, examined: Sequence[Examined]) -> Decision:
        """Verdicts of a delivery; raises `OverQuota`, `SpoolFull`, `Overloaded` or `TimeoutError`,
        or what the keeper raises.

        A raise means that nothing is promised: the sender's repetition is harmless. Events come
        first: one that collides and cannot be kept costs its neighbours nothing.
        """
        with self._quotas.using(receipt.tenant_id, len(examined), insist=receipt.insists):
            return await self._accepted(receipt, examined)

    async def _accepted(self, receipt: Receipt, examined: Sequence[Examined]) -> Decision:
        faults.hit("ingest.received")
        until = self._clock.monotonic() + self._settings.accept_deadline
        with self._unappended.hold(receipt.received_at):
            decision = decide(examined, await self._known(examined))
            faults.hit("ingest.looked_up")
            appended = await self._append(decision.fresh, until)
        faults.hit("ingest.appended")
        await self._remember(appended, until)
        faults.hit("ingest.indexed")
        if decision.conflicts:
            await self._keeper.keep(colliding(decision.conflicts, receipt))
        return decision

    @property
    def waiting(self) -> int:
        """Events that wait for the log."""
        return self._appends.waiting

    async def close(self, seconds: float) -> None:
        for group in (self._lookups, self._appends, self._writes):
            await group.close(seconds)

    async def _known(self, examined: Sequence[Examined]) -> Mapping[EventKey, bytes]:
        keys = [event.key for event in examined if isinstance(event, Candidate)]
        if not keys or self._index_rests():
            return {}
        try:
            async with asyncio.timeout(self._settings.lookup_deadline):
                hashes = await self._lookups.submit(keys, keys[0].tenant_id)
        except Overloaded:  # by its tenant's own share: no reason for others to go without
            return {}
        except (IndexUnavailable, TimeoutError) as error:
            self._rest("lookup", error)
            return {}
        return {key: known for key, known in zip(keys, hashes, strict=True) if known is not None}

    async def _look_up(self, keys: Sequence[EventKey]) -> Sequence[bytes | None]:
        known = await self._index.known(list(dict.fromkeys(keys)))
        return [known.get(key) for key in keys]

    async def _append(self, fresh: Sequence[Candidate], until: float) -> Sequence[Appended]:
        """Into the log, or, where it must not or cannot go there, into the spool."""
        direct = [candidate for candidate in fresh if self._goes_directly(candidate)]
        chosen = set(map(id, direct))
        spooled = [candidate for candidate in fresh if id(candidate) not in chosen]
        with self._spools.own.underway.hold(direct, spooled):
            if not spooled:
                return await self._log_first(direct)
            if not direct:
                return await self._put(spooled, until)
            return await self._both(direct, spooled, until)

    def _goes_directly(self, candidate: Candidate) -> bool:
        """Behind those of its key that are under way, whither the last of them goes."""
        spool = self._spools.own
        to_spool = spool.underway.heading(candidate.log_key)
        return not (spool.takes(candidate) if to_spool is None else to_spool)

    async def _both(
        self, direct: Sequence[Candidate], spooled: Sequence[Candidate], until: float
    ) -> Sequence[Appended]:
        """At once: what waited for the rest of its delivery would be overtaken in the spool."""
        putting = asyncio.create_task(self._put(spooled, until), name="spool-put")
        try:
            return [*await self._log_first(direct), *await putting]
        finally:
            putting.cancel()
            await asyncio.gather(putting, return_exceptions=True)

    async def _log_first(self, direct: Sequence[Candidate]) -> Sequence[Appended]:
        """Into the spool goes what the log does not acknowledge in time, or what would overtake
        such a one; in their order, since the loop wakes requests in the order of their failures."""
        appended = await self._append_directly(direct, self._settings.append_deadline)
        if len(appended) == len(direct):
            return appended
        placed = {id(entry.candidate) for entry in appended}
        left = [candidate for candidate in direct if id(candidate) not in placed]
        return [*appended, *await self._put(left, float("-inf"))]

    async def _put(self, waiting: Sequence[Candidate], until: float) -> Sequence[Appended]:
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
            appended = await self._append_directly(waiting, seconds)
            if len(appended) < len(waiting):
                raise
            return appended
        return [Appended(candidate) for candidate in waiting]

    async def _append_directly(
        self, direct: Sequence[Candidate], seconds: float
    ) -> Sequence[Appended]:
        """Those that are in the log: nothing if it did not acknowledge in time; it may still have
        taken them, and what comes twice has one effect."""
        if not direct:
            return []
        log = self._spools.own.log
        try:
            async with asyncio.timeout(seconds):
                told = await self._appends.submit(direct, direct[0].envelope.tenant_id)
        except (TimeoutError, LogUnavailable, UnknownTopic) as error:
            log.failed()
            _log.warning("log_did_not_acknowledge", events=len(direct), error=error)
            return []
        appended = [entry for entry in told if entry is not None]
        if appended:
            log.answered()
        return appended

    async def _append_records(self, queued: Sequence[Candidate]) -> Sequence[Appended | None]:
        """Nothing of those that would overtake one: since they were queued it has failed, or is in
        the spool."""
        metrics.INGEST_WAITING.set(self.waiting)
        spool = self._spools.own
        going = [one for one in spool.underway.in_turn(queued) if not spool.bars(one)]
        appended = await append_all(self._log, going) if going else ()
        spool.underway.placed(going)
        if len(going) == len(queued):
            return appended
        entries = {id(entry.candidate): entry for entry in appended}
        return [entries.get(id(one)) for one in queued]

    async def _remember(self, appended: Sequence[Appended], until: float) -> None:
        """Write the index; a failure costs a repetition its early answer, nothing else."""
        if not appended:
            return
        left = min(self._settings.index_deadline, until - self._clock.monotonic())
        if left <= 0 or self._index_rests():
            metrics.INGEST_INDEX_FAILURES.inc(len(appended))
            return
        try:
            async with asyncio.timeout(left):
                await self._writes.submit(appended, appended[0].candidate.envelope.tenant_id)
        except Overloaded:
            metrics.INGEST_INDEX_FAILURES.inc(len(appended))
        except (IndexUnavailable, TimeoutError) as error:
            metrics.INGEST_INDEX_FAILURES.inc(len(appended))
            self._rest("write", error)

    async def _write_index(self, appended: Sequence[Appended]) -> Sequence[None]:
        await self._index.write(appended)
        return [None] * len(appended)

    def _index_rests(self) -> bool:
        return self._clock.monotonic() < self._index_rests_until

    def _rest(self, step: str, error: Exception) -> None:
        """Leave a silent index alone for a moment, or each request would wait for it."""
        self._index_rests_until = self._clock.monotonic() + self._settings.index_pause
        _log.warning("ingest_index_skipped", step=step, error=error)

    def _group(
        self, run: Callable[[Sequence[T]], Awaitable[Sequence[R]]], limit: float
    ) -> Grouped[T, R]:
        return Grouped(
            run,
            _is_shared,
            max_waiting=self._settings.max_waiting,
            max_group=self._settings.max_group,
            limit=limit,
        )


def _is_shared(error: Exception) -> bool:
    return isinstance(error, LogUnavailable | UnknownTopic | IndexUnavailable | TimeoutError)
