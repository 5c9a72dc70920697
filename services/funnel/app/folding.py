"""One group of deals inside a batch: from stored rows and new events to writes and records."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from services.funnel.app.model import (
    Cause,
    Change,
    DealWrite,
    Kept,
    StoredDeal,
    StoredRows,
    Tenant,
    cause_of,
)
from services.funnel.app.publish import Publisher, all_changes
from services.funnel.app.telling import News, tell
from services.funnel.app.work import Residue
from services.funnel.domain.accumulator import Accumulator
from services.funnel.domain.advance import Advance, advance, begin
from services.funnel.domain.diff import diff, joined
from services.funnel.domain.fold import deal_state
from services.funnel.domain.inputs import Inputs
from services.funnel.domain.model import DealState, FoldEvent, Known, Projection, RowT, Visit
from services.funnel.domain.project import project, refs_of
from services.funnel.domain.routing import conflicting_merges

_NOTHING = StoredRows()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What folding a group asks the transaction to write and to publish."""

    writes: Sequence[DealWrite]
    changes: Sequence[Change]
    conflicts: Sequence[Kept] = ()
    """New merges that have no effect, because they contradict earlier ones."""


@dataclass(frozen=True, slots=True)
class GroupRows:
    """What is stored of a group; `rows` by `(generation, deal_id)`, `states` as published last."""

    deals: Mapping[str, StoredDeal]
    states: Mapping[str, DealState] = field(default_factory=dict)
    rows: Mapping[tuple[int, str], StoredRows] = field(default_factory=dict)


class Head(NamedTuple):
    """Where a deal stands: the version that was told, what lies ahead, all of its events folded."""

    version: int
    wake_at: datetime | None
    accumulator: Accumulator


def fold_at_head(
    tenant: Tenant, inputs: Inputs, head: Head | None, new: Sequence[Kept], now: datetime
) -> Outcome | None:
    """Fold sorted `new` events on top of a deal that stands alone; `None` asks for a refold.

    `head` is `None` for a deal of which nothing is stored.
    """
    if new[0].event.occurred_at > now:
        return _fold_ahead(tenant, inputs, head, new, now)
    if head is not None and head.wake_at is not None:
        return None
    tenant_id, deal_id = new[0].deal
    version, acc = (head.version, head.accumulator) if head else (0, None)
    told = None if acc is None else deal_state(acc.deal, acc.facts())
    publisher = Publisher(tenant_id, deal_id, version, told)
    steps: list[Advance] = []
    for kept in new:
        acc, step = _step(acc, kept.event, inputs, now)
        if acc is None or step is None:
            return None
        steps.append(step)
        publisher.take(step.state, cause_of(kept))
    changes = all_changes(iter((publisher,)))
    write = DealWrite(
        tenant_id,
        tenant.current,
        deal_id,
        steps[-1].state,
        publisher.version,
        None,
        acc,
        joined([step.visits for step in steps]),
        joined([step.spans for step in steps]),
        fresh=head is None,
    )
    return Outcome((write,), changes)


def _fold_ahead(
    tenant: Tenant, inputs: Inputs, head: Head | None, new: Sequence[Kept], now: datetime
) -> Outcome | None:
    """History of a deal that lies ahead as a whole, as in a sandbox before its clock is moved."""
    if head is not None and (head.version or head.wake_at is None or head.wake_at <= now):
        return None
    tenant_id, deal_id = new[0].deal
    acc = head.accumulator if head else None
    steps: list[Advance] = []
    for kept in new:
        acc, step = _step(acc, kept.event, inputs, kept.event.occurred_at)
        if acc is None or step is None:
            return None
        steps.append(step)
    write = DealWrite(
        tenant_id,
        tenant.current,
        deal_id,
        None,
        0,
        head.wake_at if head else new[0].event.occurred_at,
        acc,
        joined([step.visits for step in steps]),
        joined([step.spans for step in steps]),
        fresh=head is None,
    )
    return Outcome((write,), ())


def _step(
    acc: Accumulator | None, event: FoldEvent, inputs: Inputs, now: datetime
) -> tuple[Accumulator | None, Advance | None]:
    if acc is None:
        return begin(event, inputs, now) or (None, None)
    return acc, advance(acc, event, inputs, now)


def refold(
    tenant: Tenant,
    inputs: Inputs,
    stored: GroupRows,
    events: Sequence[Kept],
    new: Sequence[Kept],
    now: datetime,
    residues: Sequence[Residue] = (),
) -> Outcome:
    """Fold a whole group anew; `events` are all of its events, `new` those not published yet."""
    residues = [counted for residue in residues if (counted := residue.as_of(now)) is not None]
    projections = project([kept.event for kept in events], inputs, now)
    publishers = tell(
        inputs,
        _publishers(tenant, stored, events, told_once=tenant.clock is not None and not new),
        [kept.event for kept in events],
        _news(inputs, stored, events, new, residues, now),
        now,
    )
    for deal_id, projection in projections.items():
        rows = stored.rows.get((tenant.current, deal_id), _NOTHING)
        _explain(publishers[deal_id], projection, rows, residues)
    changes = all_changes(iter(publishers.values()))
    writes = [
        _write(tenant, generation, projection, stored, publishers[deal_id].version)
        for deal_id, projection in projections.items()
        for generation in tenant.generations
    ]
    return Outcome(writes, changes, _conflicts(events, new))


def _publishers(
    tenant: Tenant, stored: GroupRows, events: Sequence[Kept], told_once: bool
) -> dict[str, Publisher]:
    """`told_once`: what a sandbox's clock has passed makes one record."""
    deals = {kept.event.subject for kept in events} | _merged(events) | set(stored.deals)
    versions = {deal_id: deal.version for deal_id, deal in stored.deals.items()}
    return {
        deal_id: Publisher(
            tenant.tenant_id,
            deal_id,
            versions.get(deal_id, 0),
            stored.states.get(deal_id),
            told_once,
        )
        for deal_id in deals
    }


def _merged(events: Sequence[Kept]) -> set[str]:
    return {m for kept in events for m in getattr(kept.event.data, "merged_deal_ids", ())}


def _news(
    inputs: Inputs,
    stored: GroupRows,
    events: Sequence[Kept],
    new: Sequence[Kept],
    residues: Sequence[Residue],
    now: datetime,
) -> list[News]:
    """What no record has told yet: new events, changed context, and what lay ahead until now."""
    wake_at = min((d.wake_at for d in stored.deals.values() if d.wake_at), default=None)
    fresh = {kept.key[1:] for kept in new}
    causes = {(residue.cause.source, residue.cause.id): residue.cause for residue in residues}

    def untold(event: FoldEvent, asked: Collection[tuple[str, str]]) -> bool:
        due = wake_at is not None and wake_at <= event.occurred_at
        return event.occurred_at <= now and (due or (event.source, event.id) in asked)

    context = (e for ref in refs_of(k.event for k in events) for e in inputs.context.get(ref, ()))
    news = [News(kept.event, cause_of(kept)) for kept in events if untold(kept.event, fresh)]
    news += [
        News(event, causes.get((event.source, event.id)) or _context_cause(event))
        for event in context
        if untold(event, causes)
    ]
    return sorted(news, key=lambda item: item.event.order)


def _context_cause(event: FoldEvent) -> Cause:
    data = event.data.model_dump_json(exclude_unset=True).encode()
    return Cause(event.id, event.source, event.type, event.occurred_at, event.recorded_at, data)


def _explain(
    publisher: Publisher, projection: Projection, rows: StoredRows, residues: Sequence[Residue]
) -> None:
    """What no event has told: another definition of a pipeline, another past of the same state."""
    if (state := projection.state) is None:
        return
    for residue in residues:
        if publisher.told != state or (publisher.quiet and _altered(rows, projection)):
            publisher.take(state, residue.cause, residue.corrected_from(state))


def _altered(rows: StoredRows, projection: Projection) -> bool:
    """Whether what we hold to be true today differs from what we held before."""
    return _held(rows.visits) != _held(projection.visits) or _held(rows.spans) != _held(
        projection.spans
    )


def _held(rows: Sequence[Known[RowT]]) -> list[RowT]:
    return sorted((k.row for k in rows if k.known_to is None), key=lambda row: row.n)


def _conflicts(events: Sequence[Kept], new: Sequence[Kept]) -> list[Kept]:
    void = {(e.source, e.id) for e in conflicting_merges(kept.event for kept in events)}
    return [kept for kept in new if (kept.event.source, kept.event.id) in void]


def _write(
    tenant: Tenant, generation: int, projection: Projection, stored: GroupRows, version: int
) -> DealWrite:
    rows = stored.rows.get((generation, projection.deal_id), _NOTHING)
    return DealWrite(
        tenant.tenant_id,
        generation,
        projection.deal_id,
        projection.state,
        version,
        projection.wake_at,
        projection.accumulator,
        diff(rows.visits, projection.visits),
        diff(rows.spans, projection.spans),
        fresh=generation == tenant.current and projection.deal_id not in stored.deals,
        vacated=_vacated(rows.visits, projection.visits) if generation == tenant.current else (),
    )


def _vacated(
    stored: Sequence[Known[Visit]], wanted: Sequence[Known[Visit]]
) -> list[tuple[str, str]]:
    before, after = _first_entries(stored), _first_entries(wanted)
    return [stage for stage, at in before.items() if stage not in after or at < after[stage]]


def _first_entries(visits: Sequence[Known[Visit]]) -> dict[tuple[str, str], datetime]:
    """Of the visits that are still believed."""
    first: dict[tuple[str, str], datetime] = {}
    for visit in (known.row for known in visits if known.known_to is None):
        stage = visit.pipeline_id, visit.stage_id
        first[stage] = min(first.get(stage, visit.entered_at), visit.entered_at)
    return first
