"""A CRM's delivery on its way in: proven, translated, accepted, and what was puzzling kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from libs.common import metrics
from libs.common.clock import Clock
from services.ingest.app import counting, reading
from services.ingest.app.accept import Acceptor
from services.ingest.app.ahead import flagged
from services.ingest.app.connection_counts import SKEW, ConnectionCounts, Delivered
from services.ingest.app.connector_faults import ours
from services.ingest.app.ports import PromptKeeper, Sandboxes
from services.ingest.app.reading import Understood, beside
from services.ingest.app.recording import Recorder
from services.ingest.app.turns import Turns
from services.ingest.domain import conflicts
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.model import (
    Connector,
    Delivery,
    Incomplete,
    Kind,
    Refused,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.secrets import proof
from services.ingest.domain.model import Candidate, Decision, Examined, Receipt
from services.ingest.domain.put_aside import PutAside
from services.ingest.domain.recording import Taken
from services.ingest.settings import IngestSettings

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a delivery; `rejected` are now dead letters."""

    accepted: int
    duplicates: int
    rejected: int
    refreshes: int


class Receiver:
    """Deliveries of every connection. Events enter by the door of `POST /v1/events`."""

    def __init__(
        self,
        connectors: Mapping[Kind, Connector],
        acceptor: Acceptor,
        keeper: PromptKeeper,
        sandboxes: Sandboxes,
        counts: ConnectionCounts,
        recorder: Recorder,
        clock: Clock,
        settings: IngestSettings,
    ) -> None:
        self._connectors, self._acceptor, self._keeper = connectors, acceptor, keeper
        self._sandboxes, self._counts, self._recorder = sandboxes, counts, recorder
        self._clock, self._settings = clock, settings

    async def receive(
        self, live: Live, delivery: Delivery, receipt: Receipt, turns: Turns
    ) -> Received:
        """Raises `Refused`, `Incomplete`, `Unreadable`, `ConnectorFailed`, or what `Turns`,
        `Acceptor.accept` and the keeper raise; then nothing is promised, a repetition harmless.

        What is not proven waits for nobody, and nobody for it.
        """
        self._prove(live, delivery, receipt.received_at)
        size, insists = len(delivery.body), receipt.insists
        async with turns.of(live.tenant_id, size, insists=insists):
            return await self._judged(live, delivery, receipt)

    async def _judged(self, live: Live, delivery: Delivery, receipt: Receipt) -> Received:
        """Events come first: a puzzle that cannot be kept now holds up none of its neighbours."""
        understood = await self._understood(live, delivery, receipt)
        told, examined = understood.told, await self._flagged(understood.examined, receipt)
        decision = await self._acceptor.accept(receipt, examined)
        kept = [*understood.letters, *conflicts.refused(decision.refused)]
        if kept or told.refreshes:
            at, owner = receipt.received_at, (live.tenant_id, live.connection_id)
            left = receipt.answer_by - self._clock.monotonic()
            await self._keeper.keep(PutAside(*owner, at, kept, told.refreshes), left)
        self._count(live, receipt, examined, decision, understood)
        statuses = [verdict.status for verdict in decision.verdicts]
        self._recorder.offer(Taken(live, delivery, receipt.received_at, told, statuses))
        return _received(decision, told, len(kept))

    def proof(self, live: Live, delivery: Delivery, now: datetime) -> int:
        """The place of the secret that proves it; raises `Refused`, `Incomplete` or
        `ConnectorFailed`."""
        connector = self._connectors[live.kind]
        return ours(live, lambda: proof(live.kind, connector, delivery, live.proving(now), now))

    def translate(self, live: Live, delivery: Delivery) -> Translation:
        """Raises `Unreadable` or `ConnectorFailed`."""
        return reading.translation(self._connectors[live.kind], live, delivery)

    async def _understood(self, live: Live, delivery: Delivery, receipt: Receipt) -> Understood:
        connector = self._connectors[live.kind]
        try:
            return await beside(
                live.kind, delivery, lambda: reading.understood(connector, live, delivery, receipt)
            )
        except Unreadable:
            self._recorder.offer(Taken(live, delivery, receipt.received_at, None))
            raise

    def _prove(self, live: Live, delivery: Delivery, now: datetime) -> None:
        try:
            place = self.proof(live, delivery, now)
        except (Refused, Incomplete) as refused:
            metrics.INGEST_SIGNATURE_FAILURES.labels(live.kind, refused.code).inc()
            self._counts.refused(live)
            log = _log.warning if isinstance(refused, Incomplete) else _log.debug
            log("delivery_refused", connection=live.connection_id, code=refused.code)
            raise
        self._counts.proven(live, place, now)
        if seen := self._connectors[live.kind].taught(delivery, live.connection):
            self._counts.learned(live, seen)
        metrics.INGEST_PROVEN.labels(live.kind, "old" if place else "newest").inc()
        _log.debug(
            "delivery_proven", connection=live.connection_id, kind=live.kind, proven_by=place
        )

    async def _flagged(self, examined: Sequence[Examined], receipt: Receipt) -> Sequence[Examined]:
        patience = self._settings.lookup_deadline
        return await flagged(examined, receipt.tenant_id, self._sandboxes, patience)

    def _count(
        self,
        live: Live,
        receipt: Receipt,
        examined: Sequence[Examined],
        decision: Decision,
        understood: Understood,
    ) -> None:
        puzzles = len(understood.told.puzzles)
        counting.judged(live.kind, examined, decision)
        counting.came(decision.fresh, receipt.received_at)
        if puzzles:
            metrics.INGEST_EVENTS.labels(live.kind, "other", "rejected").inc(puzzles)
        by = [verdict.status for verdict in decision.verdicts]
        self._counts.delivered(
            live,
            Delivered(
                at=receipt.received_at,
                accepted=by.count("accepted"),
                duplicates=by.count("duplicate"),
                rejected=by.count("rejected") + puzzles,
                last_event_at=_latest(decision.fresh, receipt.received_at),
                number=understood.number,
            ),
        )


def _received(decision: Decision, told: Translation, kept: int) -> Received:
    by = [verdict.status for verdict in decision.verdicts]
    return Received(by.count("accepted"), by.count("duplicate"), kept, len(told.refreshes))


def _latest(fresh: Sequence[Candidate], received_at: datetime) -> datetime | None:
    """When the latest of them happened, also in sandboxes by our clock. What is still to come is
    left out: it would hide for as long that nothing else came."""
    times = (event.envelope.occurred_at for event in fresh)
    return max((at for at in times if at <= received_at + SKEW), default=None)
