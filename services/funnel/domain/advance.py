"""The incremental path: fold one event on top of what is stored, without reading the past.

Takes only what can touch nothing but a deal's last rows: an event after the head in both times, of
a deal that stands alone and is not deleted. Everything else answers `None`: refold the group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.contracts import events as ev
from services.funnel.domain.accumulator import Accumulator
from services.funnel.domain.deal import DealFold
from services.funnel.domain.diff import RowChanges
from services.funnel.domain.fold import context_values, deal_state
from services.funnel.domain.inputs import Inputs
from services.funnel.domain.model import (
    DealState,
    Facts,
    FoldEvent,
    Known,
    Order,
    Span,
    Visit,
)
from services.funnel.domain.routing import DEFAULT_PIPELINE, named_pipeline, named_refs

_REWIND = (ev.DealDeleted, ev.DealRestored, ev.DealMerged)


@dataclass(frozen=True, slots=True)
class Advance:
    """The effect of one event at the head."""

    state: DealState
    visits: RowChanges[Visit]
    spans: RowChanges[Span]


def advance(acc: Accumulator, event: FoldEvent, inputs: Inputs, now: datetime) -> Advance | None:
    """Fold `event` into `acc`; `None` leaves `acc` untouched and asks for a refold."""
    if not _at_head(acc, event, now) or not _same_world(acc, event, inputs):
        return None
    if event.occurred_at == acc.span[1] and acc.span[0] > 1:
        return None  # the instant's earlier span might vanish into the one before it
    before, last = acc.facts(), acc.deal.visits[-1:]
    _learn(acc, event, inputs)
    acc.deal.apply(event)
    acc.named = acc.named or named_pipeline(event) is not None
    acc.head, acc.known_at = event.order, event.recorded_at
    visits = _visit_changes(acc, last)
    if not isinstance(event.data, ev.ActivityData):
        acc.told = None  # what was done with a deal changes no fact of it
    after = acc.facts()
    spans = _span_changes(acc, before, after, event.occurred_at)
    return Advance(deal_state(acc.deal, after), visits, spans)


def _at_head(acc: Accumulator, event: FoldEvent, now: datetime) -> bool:
    """What a reconciliation tells of an activity depends on all that is done, which nothing here
    holds."""
    return (
        event.order > acc.head
        and event.recorded_at >= acc.known_at
        and event.occurred_at <= now
        and acc.deal.deleted_at is None
        and acc.deal.merged_into is None
        and not isinstance(event.data, _REWIND)
        and not (event.reconciled and isinstance(event.data, ev.ActivityData))
    )


def _same_world(acc: Accumulator, event: FoldEvent, inputs: Inputs) -> bool:
    """No pipeline is named for the first time or redefined, no context lies out of reach."""
    named = named_pipeline(event)
    if named is not None and not acc.named and named != acc.deal.pipeline_id:
        return False
    pipelines = {acc.deal.pipeline_id, named or acc.deal.pipeline_id}
    if any(at > event.recorded_at for p in pipelines for at in inputs.pipelines.changes(p)):
        return False
    refs = {*acc.context, *named_refs(event)}
    return all(_reachable(e, event) for ref in refs for e in inputs.context.get(ref, ()))


def _reachable(context: FoldEvent, event: FoldEvent) -> bool:
    return context.order < event.order and context.recorded_at <= event.recorded_at


def _learn(acc: Accumulator, event: FoldEvent, inputs: Inputs) -> None:
    """Accounts and owners named for the first time bring what they said so far."""
    for ref in named_refs(event) - acc.context.keys():
        values: dict[str, Any] = {}
        for context in sorted(inputs.context.get(ref, ()), key=lambda e: e.order):
            values.update(context_values(context))
        acc.context[ref] = values


def _visit_changes(acc: Accumulator, last: Sequence[Visit]) -> RowChanges[Visit]:
    known_at, put, close = acc.known_at, [], []
    for old in last:
        new = acc.deal.visits[0]
        if new != old and acc.visit_known is not None:
            if acc.visit_known < known_at:
                close.append(((old.n, acc.visit_known), known_at))
            put.append(Known(new, known_at))
    fresh = acc.deal.visits[len(last) :]
    put.extend(Known(visit, known_at) for visit in fresh)
    if fresh or put:
        acc.visit_known = known_at
    acc.deal.visits = acc.deal.visits[-1:]
    return RowChanges(tuple(put), tuple(close))


def _span_changes(acc: Accumulator, before: Facts, after: Facts, at: datetime) -> RowChanges[Span]:
    if before == after:
        return RowChanges()
    (n, start, known_from), known_at = acc.span, acc.known_at
    close = (((n, known_from), known_at),) if known_from < known_at else ()
    if start == at:
        acc.span = (n, start, known_at)
        return RowChanges((Known(Span(n, start, None, after), known_at),), close)
    acc.span = (n + 1, at, known_at)
    ended, begun = Span(n, start, at, before), Span(n + 1, at, None, after)
    return RowChanges((Known(ended, known_at), Known(begun, known_at)), close)


def begin(event: FoldEvent, inputs: Inputs, now: datetime) -> tuple[Accumulator, Advance] | None:
    """The first event of a deal of which nothing is stored."""
    if event.occurred_at > now or isinstance(event.data, _REWIND):
        return None
    named = named_pipeline(event)
    known = inputs.pipelines.as_known(event.recorded_at)
    deal = DealFold(event.subject, named or DEFAULT_PIPELINE, known, inputs.currency)
    acc = Accumulator(
        deal, _before(event), event.recorded_at, None, (1, event.occurred_at, event.recorded_at)
    )
    if not _same_world(acc, event, inputs):
        return None
    _learn(acc, event, inputs)
    deal.apply(event)
    acc.head, acc.named = event.order, named is not None
    facts = acc.facts()
    first = Known(Span(1, event.occurred_at, None, facts), event.recorded_at)
    visits = _visit_changes(acc, ())
    return acc, Advance(deal_state(deal, facts), visits, RowChanges((first,)))


def _before(event: FoldEvent) -> Order:
    return (event.occurred_at, False, "", False, 0, "")
