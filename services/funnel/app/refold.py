"""Folding without a batch: queued deals, and deals whose future has come."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.db.database import Database
from services.funnel.app.model import DealKey
from services.funnel.app.ports import Store
from services.funnel.app.projector import SKEW, Projector
from services.funnel.app.work import Residue, Work

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Ticket:
    """One queued reason to fold a deal anew."""

    number: int
    deal: DealKey
    residue: Residue


class RefoldStore(Store, Protocol):
    """The store, with the queue and the alarm clock."""

    async def claim_refolds(self, limit: int) -> Sequence[Ticket]: ...

    async def finish_refolds(self, tickets: Sequence[Ticket]) -> None: ...

    async def claim_due(self, now: datetime, limit: int) -> Collection[DealKey]: ...


class Refolds:
    """Steps of the refold worker; each is one transaction and tells whether there may be more."""

    def __init__(
        self,
        database: Database,
        store_of: Callable[[AsyncConnection], RefoldStore],
        projector: Projector,
        clock: Clock,
    ) -> None:
        self._database, self._store_of = database, store_of
        self._projector, self._clock = projector, clock

    async def drain(self) -> bool:
        """Fold the oldest queued deals, and take them off the queue with what was written."""
        async with self._database.across_tenants() as tx:
            store = self._store_of(tx)
            tickets = await store.claim_refolds(CHUNK)
            residues: dict[DealKey, list[Residue]] = defaultdict(list)
            for ticket in tickets:
                residues[ticket.deal].append(ticket.residue)
            await self._project(store, Work((), residues))
            await store.finish_refolds(tickets)
        return bool(tickets)

    async def wake(self) -> bool:
        """Publish what lay ahead and has come due."""
        async with self._database.across_tenants() as tx:
            store = self._store_of(tx)
            due = await store.claim_due(self._clock.now() + SKEW, CHUNK)
            await self._project(store, Work((), dict.fromkeys(due, ())))
        return bool(due)

    async def _project(self, store: Store, work: Work) -> None:
        if work.deals:
            tenants = await store.hold_tenants({tenant_id for tenant_id, _ in work.deals})
            await self._projector.project(store, tenants, work, self._clock.now())
