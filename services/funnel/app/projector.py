"""Folds the deals that a transaction touches: lock their groups, fold, write, publish."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common import metrics
from libs.common.slices import in_slices
from services.funnel.app.folding import GroupRows, Head, Outcome, fold_at_head, refold
from services.funnel.app.locking import Group, locked
from services.funnel.app.model import Catalogue, DealKey, Kept, RefKey, Tenant
from services.funnel.app.ordering import out_of_order
from services.funnel.app.ports import Store
from services.funnel.app.records import deal_rows
from services.funnel.app.work import Work
from services.funnel.domain.accumulator import load
from services.funnel.domain.inputs import Inputs
from services.funnel.domain.model import FoldEvent, Ref
from services.funnel.domain.project import refs_of
from services.funnel.domain.routing import named_refs

SKEW = timedelta(seconds=60)
"""How far ahead of our clock a source's may be before its events count as lying ahead."""

Heads = Mapping[int, Head | None]
Context = Mapping[str, Mapping[Ref, Sequence[FoldEvent]]]


class Projector:
    """`writer` names this process in the tenants' change counters."""

    def __init__(self, writer: str) -> None:
        self._writer = writer

    async def project(
        self, store: Store, tenants: Mapping[str, Tenant], work: Work, now: datetime
    ) -> Sequence[Kept]:
        """Fold, write and publish; return the merges among the new events that had no effect."""
        if not work.deals:
            return ()
        groups = await locked(store, work)
        if any(tenant.clock for tenant in tenants.values()):
            tenants = await store.hold_tenants(tenants)  # clocks may have moved before we held
        catalogues = await store.catalogues({group.tenant_id for group in groups})
        folding = Folding(store, tenants, catalogues, now + SKEW)
        outcomes = await folding.fold(groups)
        await store.write_deals([write for outcome in outcomes for write in outcome.writes])
        await store.add_references(_references(work))
        await store.count_changes({group.tenant_id for group in groups}, self._writer)
        changes = [change for outcome in outcomes for change in outcome.changes]
        await store.publish(deal_rows(changes, catalogues))
        return [kept for outcome in outcomes for kept in outcome.conflicts]


def _references(work: Work) -> set[tuple[RefKey, str]]:
    return {
        ((kept.tenant_id, *ref), kept.event.subject)
        for kept in work.new
        for ref in named_refs(kept.event)
    }


@dataclass(frozen=True, slots=True)
class Folding:
    """One transaction's folding; `now` is that of real tenants, the allowed skew included."""

    store: Store
    tenants: Mapping[str, Tenant]
    catalogues: Mapping[str, Catalogue]
    now: datetime

    async def fold(self, groups: Sequence[Group]) -> list[Outcome]:
        """Incrementally where a deal stands alone and its events are at the head, else anew."""
        heads = {id(group): self._head(group) for group in groups if self._may_advance(group)}
        context = await self._context(self._head_refs(groups, heads))
        outcomes, left = [], []
        async for group in in_slices(groups):
            outcome = self._advance(group, heads, context)
            if outcome is None:
                left.append(group)
            else:
                outcomes.append(outcome)
        metrics.FUNNEL_FOLDS.labels("head").inc(len(outcomes))
        metrics.FUNNEL_FOLDS.labels("refold").inc(len(left))
        return outcomes + await self._refold(left)

    def _may_advance(self, group: Group) -> bool:
        building = self.tenants[group.tenant_id].building is not None
        return len(group.members) == 1 and bool(group.new) and not group.residues and not building

    def now_of(self, tenant_id: str) -> datetime:
        """Up to when a tenant's events show."""
        return self.tenants[tenant_id].now(self.now)

    def _head(self, group: Group) -> Head | None:
        """Where the deal stands; `None` if nothing is stored or it cannot be used."""
        stored = group.stored.get(group.members[0])
        if stored is None or stored.accumulator is None:
            return None
        inputs = self._inputs(group, {})
        known = inputs.pipelines.as_known(None)
        acc = load(stored.accumulator, known, inputs.currency)
        return None if acc is None else Head(stored.version, stored.wake_at, acc)

    def _head_refs(self, groups: Sequence[Group], heads: Heads) -> set[RefKey]:
        refs: set[RefKey] = set()
        for group in groups:
            if id(group) in heads:
                head = heads[id(group)]
                named = {ref for kept in group.new for ref in named_refs(kept.event)}
                held = head.accumulator.context.keys() if head else ()
                refs.update((group.tenant_id, *ref) for ref in named.union(held))
        return refs

    def _advance(self, group: Group, heads: Heads, context: Context) -> Outcome | None:
        head = heads.get(id(group))
        if id(group) not in heads or (head is None and group.stored):
            return None
        tenant, inputs = self.tenants[group.tenant_id], self._inputs(group, context)
        return fold_at_head(tenant, inputs, head, group.new, self.now_of(group.tenant_id))

    async def _refold(self, groups: Sequence[Group]) -> list[Outcome]:
        outcomes = []
        async for group, stored, events, inputs in self.loaded(groups):
            tenant = self.tenants[group.tenant_id]
            metrics.PROJECTION_OUT_OF_ORDER.inc(out_of_order(events, group.new))
            outcomes.append(
                refold(
                    tenant, inputs, stored, events, group.new, tenant.now(self.now), group.residues
                )
            )
        return outcomes

    async def loaded(
        self, groups: Sequence[Group]
    ) -> AsyncIterator[tuple[Group, GroupRows, list[Kept], Inputs]]:
        """Each group with all that is stored of it, all of its events and what it folds with."""
        if not groups:
            return
        keys = [key for group in groups for key in group.keys]
        events = await self.store.events_of(keys)
        states = await self.store.states_of(keys)
        rows = await self.store.rows_of([row for key in keys for row in self._generations(key)])
        context = await self._context(_all_refs(groups, events))
        async for group in in_slices(groups):
            wanted = [row for key in group.keys for row in self._generations(key)]
            stored = GroupRows(
                group.stored,
                {key[1]: states[key] for key in group.keys if key in states},
                {row[1:]: rows[row] for row in wanted if row in rows},
            )
            kept = [kept for key in group.keys for kept in events.get(key, ())]
            yield group, stored, kept, self._inputs(group, context)

    def _generations(self, key: DealKey) -> list[tuple[str, int, str]]:
        return [(key[0], generation, key[1]) for generation in self.tenants[key[0]].generations]

    def _inputs(self, group: Group, context: Context) -> Inputs:
        tenant = self.tenants[group.tenant_id]
        pipelines = self.catalogues[group.tenant_id].pipelines
        return Inputs(tenant.currency, pipelines, context.get(group.tenant_id, {}))

    async def _context(self, refs: Collection[RefKey]) -> Context:
        kept = await self.store.context_of(refs) if refs else {}
        return {
            tenant_id: {ref: [k.event for k in held] for ref, held in of.items()}
            for tenant_id, of in kept.items()
        }


def _all_refs(groups: Sequence[Group], events: Mapping[tuple[str, str], list[Kept]]) -> set[RefKey]:
    return {
        (group.tenant_id, *ref)
        for group in groups
        for ref in refs_of(kept.event for key in group.keys for kept in events.get(key, ()))
    }
