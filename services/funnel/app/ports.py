"""What the write side asks of the database; every call belongs to one open transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from libs.common.contracts.envelope import Origin
from libs.common.db.outbox import OutboxRow
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
from services.funnel.domain.context import ContextSpan
from services.funnel.domain.model import DealState, Known, Ref


class Store(Protocol):
    """The funnel's tables inside one transaction. Keys carry the tenant."""

    async def hold_tenants(self, tenant_ids: Collection[str]) -> Mapping[str, Tenant]:
        """Known tenants, their generations kept from switching until the transaction ends."""
        ...

    async def catalogues(self, tenant_ids: Collection[str]) -> Mapping[str, Catalogue]: ...

    async def insert_events(self, events: Sequence[Incoming]) -> Collection[EventKey]:
        """Keep the events whose key is new; return those keys."""
        ...

    async def held(self, keys: Collection[EventKey]) -> Mapping[EventKey, Held]: ...

    async def know_earlier(self, known: Mapping[EventKey, tuple[datetime, Origin]]) -> None:
        """Events were recorded earlier than it seemed, or told otherwise than by reconciling."""
        ...

    async def lock_refs(self, shared: Collection[RefKey], exclusive: Collection[RefKey]) -> None:
        """Order the writers of a reference against the writers of what it refers to."""
        ...

    async def groups_of(self, deals: Collection[DealKey]) -> Mapping[DealKey, str]:
        """The group of each deal that merges connect to one of `deals`."""
        ...

    async def join_groups(self, groups: Mapping[DealKey, str]) -> None: ...

    async def lock_deals(self, deals: Collection[DealKey]) -> Mapping[DealKey, StoredDeal]:
        """Rows of the current generation, locked in key order."""
        ...

    async def events_of(self, deals: Collection[DealKey]) -> Mapping[DealKey, list[Kept]]: ...

    async def context_of(self, refs: Collection[RefKey]) -> Mapping[str, Mapping[Ref, list[Kept]]]:
        """Account and user events by tenant and reference."""
        ...

    async def states_of(self, deals: Collection[DealKey]) -> Mapping[DealKey, DealState]: ...

    async def rows_of(
        self, deals: Collection[tuple[str, int, str]]
    ) -> Mapping[tuple[str, int, str], StoredRows]:
        """Two-time rows by `(tenant_id, generation, deal_id)`."""
        ...

    async def write_deals(self, writes: Sequence[DealWrite]) -> None: ...

    async def add_references(self, references: Collection[tuple[RefKey, str]]) -> None: ...

    async def subject_events(self, refs: Collection[RefKey]) -> Mapping[RefKey, list[Kept]]: ...

    async def write_context(self, rows: Mapping[RefKey, Sequence[Known[ContextSpan]]]) -> None: ...

    async def queue_refolds(self, causes: Sequence[tuple[RefKey, Kept]]) -> None:
        """Queue every deal that refers to what changed."""
        ...

    async def count_changes(self, tenant_ids: Collection[str], writer: str) -> None: ...

    async def publish(self, rows: Sequence[OutboxRow]) -> None: ...
