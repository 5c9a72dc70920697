"""Acceptance: look up, decide, append, remember. A 202 says that the log holds the event."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from libs.common import faults, metrics
from libs.common.clock import Clock
from libs.common.eventlog.port import EventLog
from services.ingest.app.appending import told_apart
from services.ingest.app.grouped import Overloaded
from services.ingest.app.groups import group
from services.ingest.app.placing import Placer
from services.ingest.app.ports import Appended, Index, IndexUnavailable, PromptKeeper
from services.ingest.app.quotas import EventQuotas
from services.ingest.app.spools import Spools
from services.ingest.app.unappended import Unappended
from services.ingest.domain.conflicts import colliding
from services.ingest.domain.decide import decide
from services.ingest.domain.model import Candidate, Decision, EventKey, Examined, Receipt
from services.ingest.domain.refused import of_delivery
from services.ingest.settings import IngestSettings

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
        keeper: PromptKeeper,
    ) -> None:
        self._index, self._clock = index, clock
        self._unappended, self._settings = unappended, settings
        self._quotas, self._keeper = quotas, keeper
        self._index_rests_until = float("-inf")
        self._placer = Placer(log, spools, clock, settings)
        self._lookups = group(self._look_up, settings.lookup_deadline, settings)
        self._writes = group(self._write_index, settings.index_deadline, settings)

    async def accept(self, receipt: Receipt, examined: Sequence[Examined]) -> Decision:
        """Verdicts of a delivery; raises `OverQuota`, `SpoolFull`, `Overloaded` or `TimeoutError`,
        or what the keeper raises.

        A raise means that nothing is promised: the sender's repetition is harmless. Events come
        first: one that collides and cannot be kept costs its neighbours nothing. Nor does one that
        the log refuses for good: it is rejected, and kept by nobody but the caller.
        """
        with self._quotas.using(receipt.tenant_id, len(examined), insist=receipt.insists):
            return await self._accepted(receipt, examined)

    async def _accepted(self, receipt: Receipt, examined: Sequence[Examined]) -> Decision:
        faults.hit("ingest.received")
        started, due = self._clock.monotonic(), receipt.answer_by
        until = min(started + self._settings.accept_deadline, due)
        with self._unappended.hold(receipt.received_at):
            decision = decide(examined, await self._known(examined))
            faults.hit("ingest.looked_up")
            placed = await self._placer.place(decision.fresh, until, due)
        appended, refused = told_apart(placed)
        faults.hit("ingest.appended")
        await self._remember(appended, until)
        faults.hit("ingest.indexed")
        if decision.conflicts:
            aside = colliding(decision.conflicts, receipt)
            await self._keeper.keep(aside, due - self._clock.monotonic())
        if refused:
            _log.error("events_refused_by_log", tenant=receipt.tenant_id, events=len(refused))
        return of_delivery(examined, decision, refused)

    @property
    def waiting(self) -> int:
        """Events that wait for the log."""
        return self._placer.waiting

    async def close(self, seconds: float) -> None:
        for part in (self._lookups, self._placer, self._writes):
            await part.close(seconds)

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
