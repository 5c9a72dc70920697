"""One group of deals inside a batch: from stored rows and new events to writes and records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

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
from services.funnel.app.work import Residue
from services.funnel.domain.accumulator import Accumulator
from services.funnel.domain.advance import Advance, advance, begin
from services.funnel.domain.diff import diff, joined
from services.funnel.domain.fold import GroupFold, deal_state
from services.funnel.domain.inputs import Inputs
from services.funnel.domain.model import DealState, FoldEvent, Known, Projection, Visit
from services.funnel.domain.project import project, refs_of, stream_of
from services.funnel.domain.routing import conflicting_merges, named_pipeline

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


def fold_at_head(
    tenant: Tenant,
    inputs: Inputs,
    head: tuple[int, Accumulator] | None,
    new: Sequence[Kept],
    now: datetime,
) -> Outcome | None:
    """Fold sorted `new` events on top of a deal that stands alone; `None` asks for a refold.

    `head` is the deal's version and accumulator, `None` for a deal of which nothing is stored.
    """
    tenant_id, deal_id = new[0].deal
    version, acc = head or (0, None)
    told = None if acc is None else deal_state(acc.deal, acc.deal.facts(acc.context))
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
    projections = project([kept.event for kept in events], inputs, now)
    due, due_context = _come_due(inputs, stored, events, now)
    unpublished = {kept.key: kept for kept in (*new, *due)}
    publishers = _publish(tenant, inputs, stored, events, list(unpublished.values()), now)
    for deal_id, publisher in publishers.items():
        state = projections[deal_id].state
        if state is None:
            continue
        for residue in (*due_context, *residues):
            if publisher.told != state:
                publisher.take(state, residue.cause, residue.corrected_from(state))
    changes = all_changes(iter(publishers.values()))
    writes = [
        _write(tenant, generation, projection, stored, publishers[deal_id].version)
        for deal_id, projection in projections.items()
        for generation in tenant.generations
    ]
    return Outcome(writes, changes, _conflicts(events, new))


def _come_due(
    inputs: Inputs, stored: GroupRows, events: Sequence[Kept], now: datetime
) -> tuple[list[Kept], list[Residue]]:
    """What lay ahead when the group was folded last and does no longer: its events, its context."""
    wake_at = min((d.wake_at for d in stored.deals.values() if d.wake_at), default=None)
    if wake_at is None:
        return [], []
    own = [kept for kept in events if wake_at <= kept.event.occurred_at <= now]
    context = (e for ref in refs_of(k.event for k in events) for e in inputs.context.get(ref, ()))
    due = sorted((e for e in context if wake_at <= e.occurred_at <= now), key=lambda e: e.order)
    return own, [Residue(_context_cause(event), "if_passed") for event in due]


def _context_cause(event: FoldEvent) -> Cause:
    data = event.data.model_dump_json(exclude_unset=True).encode()
    return Cause(event.id, event.source, event.type, event.occurred_at, event.recorded_at, data)


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
    first: dict[tuple[str, str], datetime] = {}
    for visit in (known.row for known in visits):
        stage = visit.pipeline_id, visit.stage_id
        first[stage] = min(first.get(stage, visit.entered_at), visit.entered_at)
    return first


def _publish(
    tenant: Tenant,
    inputs: Inputs,
    stored: GroupRows,
    events: Sequence[Kept],
    new: Sequence[Kept],
    now: datetime,
) -> dict[str, Publisher]:
    """Records of `new` events up to `now`: late ones together first, then each one at the head."""
    fold, late, ahead = _prepared(inputs, events, new, now)
    tenant_id = tenant.tenant_id
    versions = {deal_id: deal.version for deal_id, deal in stored.deals.items()}
    deals = {kept.event.subject for kept in events} | _merged(events) | set(versions)
    publishers = {
        deal_id: Publisher(tenant_id, deal_id, versions.get(deal_id, 0), stored.states.get(deal_id))
        for deal_id in deals
    }
    for kept in late:
        _tell(publishers, fold, kept, kept.event.occurred_at)
    for kept in ahead:
        fold.extend([kept.event])
        _tell(publishers, fold, kept, _renamed_from(publishers, fold, kept, events))
    return publishers


def _merged(events: Sequence[Kept]) -> set[str]:
    return {m for kept in events for m in getattr(kept.event.data, "merged_deal_ids", ())}


def _prepared(
    inputs: Inputs, events: Sequence[Kept], new: Sequence[Kept], now: datetime
) -> tuple[GroupFold, list[Kept], list[Kept]]:
    """The fold of everything before the new head events, with the late and the head events."""
    fresh = {(kept.event.source, kept.event.id) for kept in new}
    visible = [kept.event for kept in events if kept.event.occurred_at <= now]
    stream = [e for e in stream_of(visible, inputs) if e.occurred_at <= now]
    head = max((e.order for e in stream if (e.source, e.id) not in fresh), default=None)
    due = sorted((k for k in new if k.event.occurred_at <= now), key=lambda k: k.event.order)
    late = [kept for kept in due if head is not None and kept.event.order < head]
    ahead = due[len(late) :]
    fold = GroupFold(visible, inputs.pipelines.as_known(None), inputs.currency)
    first = ahead[0].event.order if ahead else None
    fold.extend(e for e in stream if first is None or e.order < first)
    return fold, late, ahead


def _tell(
    publishers: Mapping[str, Publisher],
    fold: GroupFold,
    kept: Kept,
    corrected_from: datetime | None,
) -> None:
    """A record for the deal that the event is about, and one for each other that it changed."""
    target = fold.target(kept.event)
    for deal_id, state in fold.states().items():
        publisher = publishers[deal_id]
        if deal_id == target or publisher.told != state:
            publisher.take(state, cause_of(kept), corrected_from)


def _renamed_from(
    publishers: Mapping[str, Publisher], fold: GroupFold, kept: Kept, events: Sequence[Kept]
) -> datetime | None:
    """The first naming of a pipeline corrects the deal's whole past."""
    target = fold.target(kept.event)
    told, named = publishers[target].told, named_pipeline(kept.event)
    if told is None or named is None or told.facts.pipeline_id == named:
        return None
    others = (k for k in events if k is not kept and k.event.order < kept.event.order)
    if any(named_pipeline(other.event) is not None for other in others):
        return None
    return min(k.event.occurred_at for k in events)
