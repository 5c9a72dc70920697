"""The write side's port on PostgreSQL: one object per transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.contracts.envelope import Origin
from libs.common.db import outbox
from libs.common.db.database import driver
from libs.common.db.outbox import OutboxRow
from services.funnel.adapters import (
    contexts,
    deals,
    events,
    groups,
    rebuilds,
    refold_queue,
    rows,
    stages,
    tenants,
)
from services.funnel.app.model import (
    Catalogue,
    DealKey,
    DealWrite,
    EventKey,
    Held,
    Incoming,
    Kept,
    RefKey,
    StoredDeal,
    StoredRows,
    Tenant,
)
from services.funnel.app.rebuild import Difference, Rebuild
from services.funnel.app.refold import Ticket
from services.funnel.domain.context import ContextSpan
from services.funnel.domain.model import DealState, Known, Ref

PLANS = (
    "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = off;"
    "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
)
"""Plans by shape: every batch statement is arrays joined by index. Without fresh statistics the
planner would read whole tables; with these settings it cannot. Plans are made anew for each batch:
one that was cached while a table was empty knows no difference between its indexes."""


class PostgresStore:
    """Implements `Store`, `RefoldStore` and `RebuildStore`."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx
        self._conn: Any = None
        self._generations: dict[str, int] = {}

    async def _open(self) -> Any:
        if self._conn is None:
            self._conn = await driver(self._tx)
            await self._conn.execute(PLANS)
        return self._conn

    def _current(self, keys: Collection[DealKey]) -> list[deals.RowKey]:
        """The rows that are served; the tenants have been held before, so none can switch."""
        return [(t, self._generations[t], d) for t, d in keys if t in self._generations]

    async def hold_tenants(self, tenant_ids: Collection[str]) -> Mapping[str, Tenant]:
        held = await tenants.hold_tenants(await self._open(), tenant_ids)
        self._generations |= {tenant_id: tenant.current for tenant_id, tenant in held.items()}
        return held

    async def catalogues(self, tenant_ids: Collection[str]) -> Mapping[str, Catalogue]:
        return await tenants.catalogues(await self._open(), tenant_ids)

    async def insert_events(self, new: Sequence[Incoming]) -> Collection[EventKey]:
        return await events.insert_events(await self._open(), new)

    async def held(self, keys: Collection[EventKey]) -> Mapping[EventKey, Held]:
        return await events.held(await self._open(), keys)

    async def know_earlier(self, known: Mapping[EventKey, tuple[datetime, Origin]]) -> None:
        await events.know_earlier(await self._open(), known)

    async def lock_refs(self, shared: Collection[RefKey], exclusive: Collection[RefKey]) -> None:
        await contexts.lock_refs(await self._open(), shared, exclusive)

    async def groups_of(self, keys: Collection[DealKey]) -> Mapping[DealKey, str]:
        return await groups.groups_of(await self._open(), keys)

    async def join_groups(self, joined: Mapping[DealKey, str]) -> None:
        await groups.join_groups(await self._open(), joined)

    async def lock_deals(self, keys: Collection[DealKey]) -> Mapping[DealKey, StoredDeal]:
        return await deals.lock_deals(await self._open(), self._current(keys))

    async def events_of(self, keys: Collection[DealKey]) -> Mapping[DealKey, list[Kept]]:
        return await events.deal_events(await self._open(), keys)

    async def context_of(self, refs: Collection[RefKey]) -> Mapping[str, Mapping[Ref, list[Kept]]]:
        found: dict[str, dict[Ref, list[Kept]]] = {}
        for (tenant_id, *ref), kept in (await self._described(refs)).items():
            found.setdefault(tenant_id, {})[ref[0], ref[1]] = kept
        return found

    async def _described(self, refs: Collection[RefKey]) -> Mapping[RefKey, list[Kept]]:
        return await events.describing_events(await self._open(), refs)

    async def states_of(self, keys: Collection[DealKey]) -> Mapping[DealKey, DealState]:
        return await deals.states_of(await self._open(), self._current(keys))

    async def rows_of(
        self, keys: Collection[tuple[str, int, str]]
    ) -> Mapping[tuple[str, int, str], StoredRows]:
        return await rows.rows_of(await self._open(), keys)

    async def write_deals(self, writes: Sequence[DealWrite]) -> None:
        """Deals first: their rows are the locks that order everything else."""
        conn = await self._open()
        await deals.write_deals(conn, writes)
        await rows.write_rows(conn, writes)
        await stages.register_stages(conn, writes)
        await stages.recheck_stages(conn, writes)

    async def add_references(self, references: Collection[tuple[RefKey, str]]) -> None:
        await contexts.add_references(await self._open(), references)

    async def subject_events(self, refs: Collection[RefKey]) -> Mapping[RefKey, list[Kept]]:
        return await events.subject_events(await self._open(), refs)

    async def write_context(self, histories: Mapping[RefKey, Sequence[Known[ContextSpan]]]) -> None:
        await contexts.write_context(await self._open(), histories)

    async def queue_refolds(self, causes: Sequence[tuple[RefKey, Kept]]) -> None:
        await contexts.queue_refolds(await self._open(), causes)

    async def count_changes(self, tenant_ids: Collection[str], writer: str) -> None:
        await tenants.count_changes(await self._open(), tenant_ids, writer)

    async def publish(self, published: Sequence[OutboxRow]) -> None:
        if published:
            await outbox.put(self._tx, "funnel", published)

    async def claim_refolds(self, limit: int) -> Sequence[Ticket]:
        return await refold_queue.claim(await self._open(), limit)

    async def finish_refolds(self, tickets: Sequence[Ticket]) -> None:
        await refold_queue.finish(await self._open(), tickets)

    async def claim_due(self, now: datetime, limit: int) -> Collection[DealKey]:
        return await refold_queue.due(await self._open(), now, limit)

    async def claim_rebuild(self) -> Rebuild | None:
        return await rebuilds.claim(await self._open())

    async def begin_rebuild(self, rebuild: Rebuild) -> None:
        await rebuilds.begin(await self._open(), rebuild)

    async def deals_after(self, rebuild: Rebuild, limit: int) -> Sequence[str]:
        return await rebuilds.deals_after(await self._open(), rebuild, limit)

    async def queued(self, keys: Collection[DealKey]) -> Collection[DealKey]:
        return await rebuilds.queued(await self._open(), keys)

    async def advance_rebuild(
        self, rebuild: Rebuild, cursor: str, done: int, found: Sequence[Difference]
    ) -> None:
        await rebuilds.advance(await self._open(), rebuild, cursor, done, found)

    async def vanished(self, rebuild: Rebuild) -> Sequence[Difference]:
        return await rebuilds.vanished(await self._open(), rebuild)

    async def end_rebuild(self, rebuild: Rebuild, state: str, found: Sequence[Difference]) -> None:
        await rebuilds.end(await self._open(), rebuild, state, found)

    async def unpublished(
        self, rebuild: Rebuild, limit: int
    ) -> Sequence[tuple[str, DealState | None]]:
        return await rebuilds.unpublished(await self._open(), rebuild, limit)

    async def raise_versions(self, keys: Collection[DealKey]) -> Mapping[DealKey, int]:
        return await rebuilds.raise_versions(await self._open(), keys)

    async def clean_rebuild(self, rebuild: Rebuild, limit: int) -> bool:
        return await rebuilds.clean(await self._open(), rebuild, limit)
