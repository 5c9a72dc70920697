"""Rebuild: fold every kept event again beside what is served, compare, and only then switch.

A rebuild is a row that any worker may carry on. Each step is one short transaction: fold the next
deals into the shadow generation and compare them; switch or give up; publish accepted differences;
drop the generation that nobody reads any more. Batches write both generations meanwhile.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.ids import uuid5
from services.funnel.app.folding import GroupRows
from services.funnel.app.locking import locked
from services.funnel.app.model import (
    Cause,
    Change,
    DealKey,
    DealWrite,
    StoredRows,
    Tenant,
)
from services.funnel.app.ports import Store
from services.funnel.app.projector import SKEW, Folding
from services.funnel.app.records import deal_rows
from services.funnel.app.work import Work
from services.funnel.domain.diff import diff
from services.funnel.domain.model import DealState, Known, Projection
from services.funnel.domain.project import project

CHUNK = 200
CLEAN = 5_000
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A rebuild in progress; `cursor` is the last deal that was folded."""

    tenant_id: str
    rebuild_id: UUID
    generation: int
    state: str
    accept: bool
    differing: int
    cursor: str | None
    started_at: datetime

    @property
    def cause(self) -> Cause:
        id_ = str(uuid5(self.tenant_id, "rebuild", str(self.rebuild_id)))
        data = orjson.dumps({"rebuild_id": str(self.rebuild_id), "generation": self.generation})
        return Cause(
            id_, "/headway/funnel", "projection.rebuilt", self.started_at, self.started_at, data
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """A deal whose stored rows are not what its events fold to; checksums, `None` if absent."""

    deal_id: str
    before: str | None
    after: str | None


class RebuildStore(Store, Protocol):
    """The store, with what only a rebuild needs."""

    async def claim_rebuild(self) -> Rebuild | None:
        """The oldest unfinished rebuild that nobody works on, locked."""
        ...

    async def begin_rebuild(self, rebuild: Rebuild) -> None:
        """From this transaction's end on, batches write the shadow generation as well."""
        ...

    async def deals_after(self, rebuild: Rebuild, limit: int) -> Sequence[str]: ...

    async def queued(self, deals: Collection[DealKey]) -> Collection[DealKey]:
        """Those of `deals` that wait for a refold."""
        ...

    async def advance_rebuild(
        self, rebuild: Rebuild, cursor: str, done: int, found: Sequence[Difference]
    ) -> None: ...

    async def vanished(self, rebuild: Rebuild) -> Sequence[Difference]:
        """Deals that are served but that no event speaks of."""
        ...

    async def end_rebuild(self, rebuild: Rebuild, state: str, found: Sequence[Difference]) -> None:
        """Switch to the shadow generation (`switched`), or leave it (`differs`)."""
        ...

    async def unpublished(
        self, rebuild: Rebuild, limit: int
    ) -> Sequence[tuple[str, DealState | None]]:
        """Accepted differences without their record yet, with the state that was served."""
        ...

    async def raise_versions(self, deals: Collection[DealKey]) -> Mapping[DealKey, int]:
        """Add one to the publication numbers of deals that get a record; return the new ones."""
        ...

    async def clean_rebuild(self, rebuild: Rebuild, limit: int) -> bool:
        """Delete rows of generations that nobody reads; false, and finished, if none is left."""
        ...


class Rebuilds:
    """Carries rebuilds on, one step per call."""

    def __init__(
        self,
        database: Database,
        store_of: Callable[[AsyncConnection], RebuildStore],
        clock: Clock,
    ) -> None:
        self._database, self._store_of, self._clock = database, store_of, clock

    async def step(self) -> bool:
        """One transaction of the oldest rebuild; whether there may be more to do."""
        async with self._database.across_tenants() as tx:
            store = self._store_of(tx)
            rebuild = await store.claim_rebuild()
            if rebuild is None:
                return False
            if rebuild.state == "building":
                return await self._build(store, rebuild)
            if rebuild.state == "switched" and await self._publish(store, rebuild):
                return True
            return await store.clean_rebuild(rebuild, CLEAN)

    async def _build(self, store: RebuildStore, rebuild: Rebuild) -> bool:
        """Fold the next deals, or end; false while they wait for a refold, whose records would
        be lost with the rows that they start from."""
        if rebuild.cursor is None:
            await store.begin_rebuild(rebuild)
        deals = await store.deals_after(rebuild, CHUNK)
        if not deals:
            found = await store.vanished(rebuild)
            equal = rebuild.differing + len(found) == 0
            state = "switched" if equal or rebuild.accept else "differs"
            await store.end_rebuild(rebuild, state, found)
            return True
        differences = await self._fold(store, rebuild, deals)
        if differences is not None:
            await store.advance_rebuild(rebuild, deals[-1], len(deals), differences)
        return differences is not None

    async def _fold(
        self, store: RebuildStore, rebuild: Rebuild, deals: Sequence[str]
    ) -> list[Difference] | None:
        tenants = await store.hold_tenants([rebuild.tenant_id])
        tenant = tenants[rebuild.tenant_id]
        groups = await locked(store, Work((), {(tenant.tenant_id, d): () for d in deals}))
        catalogues = await store.catalogues([tenant.tenant_id])
        folding = Folding(store, tenants, catalogues, self._clock.now() + SKEW)
        writes: list[DealWrite] = []
        found: list[Difference] = []
        async for _, stored, events, inputs in folding.loaded(groups):
            as_of = _as_of(stored, folding.now_of(tenant.tenant_id))
            projections = project([kept.event for kept in events], inputs, as_of)
            writes += [_shadow(tenant, rebuild, stored, p) for p in projections.values()]
            found += _differences(tenant, stored, projections, set(deals))
        if await store.queued([key for group in groups for key in group.keys]):
            return None
        await store.write_deals(writes)
        return found

    async def _publish(self, store: RebuildStore, rebuild: Rebuild) -> bool:
        """One corrected record for each accepted difference."""
        waiting = dict(await store.unpublished(rebuild, CHUNK))
        if not waiting:
            return False
        keys = [(rebuild.tenant_id, deal_id) for deal_id in waiting]
        await store.hold_tenants([rebuild.tenant_id])
        await store.lock_deals(keys)
        states = await store.states_of(keys)
        versions = await store.raise_versions(states.keys())
        catalogues = await store.catalogues([rebuild.tenant_id])
        changes = [
            Change(
                *key, versions[key], waiting[key[1]], state, rebuild.cause, state.facts.created_at
            )
            for key, state in states.items()
        ]
        await store.publish(deal_rows(changes, catalogues))
        return True


def _as_of(stored: GroupRows, now: datetime) -> datetime:
    """Now; or just before an alarm that has not rung yet, as the served rows are: it rings after
    the switch as it would have before."""
    alarms = (held.wake_at for held in stored.deals.values() if held.wake_at is not None)
    return min((now, *(at - _MOMENT for at in alarms)))


def _shadow(
    tenant: Tenant, rebuild: Rebuild, stored: GroupRows, projection: Projection
) -> DealWrite:
    rows = stored.rows.get((rebuild.generation, projection.deal_id), StoredRows())
    held = stored.deals.get(projection.deal_id)
    return DealWrite(
        tenant.tenant_id,
        rebuild.generation,
        projection.deal_id,
        projection.state,
        held.version if held else 0,
        projection.wake_at,
        projection.accumulator,
        diff(rows.visits, projection.visits),
        diff(rows.spans, projection.spans),
        fresh=False,
    )


def _differences(
    tenant: Tenant,
    stored: GroupRows,
    projections: Mapping[str, Projection],
    deals: Collection[str],
) -> list[Difference]:
    found = []
    for deal_id, projection in projections.items():
        held, state = stored.deals.get(deal_id), stored.states.get(deal_id)
        if deal_id not in deals:
            continue  # another chunk's
        rows = stored.rows.get((tenant.current, deal_id), StoredRows())
        before = _checksum(state, rows) if held else None
        after = _checksum(projection.state, StoredRows(projection.visits, projection.spans))
        if before != after:
            found.append(Difference(deal_id, before, after))
    return found


def _checksum(state: DealState | None, rows: StoredRows) -> str:
    """Over the whole result of a fold; the version is a publication number and no part of it."""
    visits = sorted(rows.visits, key=lambda known: known.key)
    spans = sorted(rows.spans, key=lambda known: known.key)
    text = json.dumps((state, visits, spans), default=_plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Equal values have one spelling, whichever way they came here."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            return str(value.normalize())
        case Known(row, known_from, known_to):
            return [row, known_from, known_to]
        case DealState(deal_id, facts, activity, last_event_at, recorded_at):
            return [deal_id, facts, activity, last_event_at, recorded_at]
    raise TypeError(f"no spelling for {type(value)}")
