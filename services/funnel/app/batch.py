"""A batch of the log as one transaction: keep, lock, fold, write, publish.

The consumer loop advances the positions in the same transaction. Whatever is raised here rolls
everything back; the same records may come again, cut differently.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import faults, metrics
from libs.common.clock import Clock
from libs.common.eventlog.loop import Buried
from libs.common.eventlog.port import Record
from libs.common.slices import in_slices
from services.funnel.app.contexts import alters_deals, fold_contexts
from services.funnel.app.decode import decode, kept_of
from services.funnel.app.deduplicate import Deduplicated, keep_new
from services.funnel.app.model import Incoming, Kept, RefKey, Tenant, cause_of
from services.funnel.app.ports import Store
from services.funnel.app.projector import Projector
from services.funnel.app.records import context_rows
from services.funnel.app.work import Residue, Work
from services.funnel.domain.routing import named_refs

StoreOf = Callable[[AsyncConnection], Store]


class BatchHandler:
    """Handles batches of `headway.crm.events.v1`."""

    def __init__(self, store_of: StoreOf, projector: Projector, clock: Clock) -> None:
        self._store_of, self._projector, self._clock = store_of, projector, clock

    async def handle(self, tx: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
        """Fold `records`; return those that cannot be used, with the reason."""
        store = self._store_of(tx)
        decoded = await _decoded(records)
        buried = [item for item in decoded if isinstance(item, Buried)]
        incoming = [item for item in decoded if isinstance(item, Incoming)]
        tenants = await store.hold_tenants({item.envelope.tenant_id for item in incoming})
        buried += [
            Buried(item.record, "unknown_tenant", "no such tenant")
            for item in incoming
            if item.envelope.tenant_id not in tenants
        ]
        known = [item for item in incoming if item.envelope.tenant_id in tenants]
        return [*buried, *await self._keep(store, tenants, known)]

    async def _keep(
        self, store: Store, tenants: Mapping[str, Tenant], incoming: Sequence[Incoming]
    ) -> list[Buried]:
        kept = await keep_new(store, incoming)
        faults.hit("funnel.before_write")
        void = await self._fold(store, tenants, kept)
        await store.publish(context_rows(kept.new))
        faults.hit("funnel.after_write")
        _count(kept, len(incoming))
        return kept.conflicts + _conflicts(kept, void)

    async def _fold(
        self, store: Store, tenants: Mapping[str, Tenant], kept: Deduplicated
    ) -> Sequence[Kept]:
        new, earlier = _folded(kept.new), _folded(kept.earlier)
        deals = [event for event in new if event.kind == "deal"]
        contexts = [event for event in (*new, *earlier) if event.kind != "deal"]
        await store.lock_refs(_named(deals), {e.ref for e in contexts if alters_deals(e)})
        await fold_contexts(store, contexts)
        residues = {e.deal: [_residue(e)] for e in earlier if e.kind == "deal"}
        return await self._projector.project(
            store, tenants, Work(deals, residues), self._clock.now()
        )


async def _decoded(records: Iterable[Record]) -> list[Incoming | Buried]:
    """The heartbeat of the event loop is never held up for long."""
    return [decode(record) async for record in in_slices(records)]


def _folded(incoming: Iterable[Incoming]) -> list[Kept]:
    """Events of known types; the others are kept and skipped."""
    return [kept for item in incoming if (kept := kept_of(item)) is not None]


def _count(kept: Deduplicated, met: int) -> None:
    """Batches that are rolled back count as well: what is met again is work again."""
    outcomes = {
        "new": len(kept.new), "conflict": len(kept.conflicts), "earlier": len(kept.earlier)
    }  # fmt: skip
    outcomes["duplicate"] = met - sum(outcomes.values())
    for outcome, events in outcomes.items():
        metrics.FUNNEL_EVENTS.labels(outcome).inc(events)
    for kind, events in Counter(i.kind for i in kept.new if i.data is not None).items():
        metrics.PROJECTION_APPLIED.labels(kind).inc(events)


def _named(deals: Iterable[Kept]) -> set[RefKey]:
    return {(kept.tenant_id, *ref) for kept in deals for ref in named_refs(kept.event)}


def _residue(kept: Kept) -> Residue:
    """We knew of an event earlier than we thought: known history moves, the state may not."""
    return Residue(cause_of(kept), "since")


def _conflicts(kept: Deduplicated, void: Sequence[Kept]) -> list[Buried]:
    records = {item.key: item.record for item in kept.new}
    return [
        Buried(records[event.key], "conflict", "this merge contradicts an earlier one")
        for event in void
    ]
