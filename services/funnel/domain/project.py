"""History in two times: the fold repeated for every instant at which more became known.

For each known instant k the rows with `known_from <= k < known_to` are the fold of the events with
`recorded_at <= k`. What is recorded in order only extends the previous fold.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from services.funnel.domain.accumulator import Accumulator
from services.funnel.domain.fold import GroupFold
from services.funnel.domain.inputs import Inputs
from services.funnel.domain.ledger import Ledger
from services.funnel.domain.model import (
    DealState,
    FoldEvent,
    Projection,
    Ref,
    Span,
    Visit,
)
from services.funnel.domain.routing import DEFAULT_PIPELINE, named_pipeline, named_refs

Books = dict[str, tuple[Ledger[Visit], Ledger[Span]]]


def refs_of(events: Iterable[FoldEvent]) -> frozenset[Ref]:
    """Every account and owner that the events ever name."""
    return frozenset(ref for event in events for ref in named_refs(event))


def stream_of(events: Sequence[FoldEvent], inputs: Inputs) -> list[FoldEvent]:
    """Deal events and the events of their accounts and owners, in total order."""
    context = (event for ref in refs_of(events) for event in inputs.context.get(ref, ()))
    return sorted((*events, *context), key=lambda event: event.order)


def project(events: Sequence[FoldEvent], inputs: Inputs, now: datetime) -> dict[str, Projection]:
    """The rows of every deal in a group, from the set of its events.

    `events` are unique by (source, id), in any order; `now` cuts the state, never the history.
    """
    if not events:
        return {}
    stream = stream_of(events, inputs)
    refs = refs_of(events)
    books, fold = _books(events, stream, inputs)
    ahead = stream[-1].occurred_at > now
    states = state_at(events, inputs, now) if ahead else fold.states()
    wake_at = min((e.occurred_at for e in stream if e.occurred_at > now), default=None)
    return {
        deal_id: Projection(
            deal_id,
            states.get(deal_id),
            visits.rows(),
            spans.rows(),
            wake_at,
            refs,
            _accumulator(events, books, fold) if len(books) == 1 and not ahead else None,
        )
        for deal_id, (visits, spans) in books.items()
    }


def _accumulator(events: Sequence[FoldEvent], books: Books, fold: GroupFold) -> Accumulator | None:
    """Where the next event of a deal that stands alone can be folded on top."""
    ((deal_id, deal),) = fold.deals.items()
    visits, spans = books[deal_id][0].last, books[deal_id][1].last
    if deal.deleted_at is not None or fold.head is None or spans is None:
        return None
    deal.visits = deal.visits[-1:]
    return Accumulator(
        deal=deal,
        head=fold.head,
        known_at=fold.known_at,
        visit_known=visits.known_from if visits else None,
        span=(spans.row.n, spans.row.valid_from, spans.known_from),
        context=fold.context,
        named=any(named_pipeline(event) is not None for event in events),
    )


def state_at(
    events: Sequence[FoldEvent],
    inputs: Inputs,
    valid_at: datetime,
    known_at: datetime | None = None,
) -> dict[str, DealState]:
    """Each deal of the group as of two instants; deals not yet there are left out."""
    fold = fold_at(events, inputs, valid_at, known_at)
    return fold.states()


def fold_at(
    events: Sequence[FoldEvent],
    inputs: Inputs,
    valid_at: datetime,
    known_at: datetime | None = None,
) -> GroupFold:
    """The fold of what is known at `known_at` (`None`: everything), up to `valid_at`."""
    known = known_by(stream_of(events, inputs), known_at)
    fold = GroupFold(known, inputs.pipelines.as_known(known_at), inputs.currency)
    fold.extend(event for event in known if event.occurred_at <= valid_at)
    return fold


def known_by(stream: Iterable[FoldEvent], known_at: datetime | None) -> list[FoldEvent]:
    """What was known of a stream at an instant; `None`: all of it."""
    return [e for e in stream if known_at is None or e.recorded_at <= known_at]


def _books(
    events: Sequence[FoldEvent], stream: Sequence[FoldEvent], inputs: Inputs
) -> tuple[Books, GroupFold]:
    arrivals: dict[datetime, list[FoldEvent]] = defaultdict(list)
    first = min(event.recorded_at for event in events)
    for event in stream:
        arrivals[max(event.recorded_at, first)].append(event)
    redefined = {at for p in _pipelines(events) for at in inputs.pipelines.changes(p) if at > first}
    return _advance_known_time(arrivals, redefined, inputs)


def _pipelines(events: Iterable[FoldEvent]) -> set[str]:
    named = {named_pipeline(event) for event in events}
    return {DEFAULT_PIPELINE, *(name for name in named if name is not None)}


def _advance_known_time(
    arrivals: dict[datetime, list[FoldEvent]], redefined: set[datetime], inputs: Inputs
) -> tuple[Books, GroupFold]:
    books: Books = {}
    fold = GroupFold((), inputs.pipelines.as_known(None), inputs.currency)
    known: list[FoldEvent] = []
    for known_at in sorted(arrivals.keys() | redefined):
        new = arrivals.get(known_at, [])
        new.sort(key=lambda event: event.order)
        if known and known_at not in redefined and fold.takes(new):
            fold.rewound = False
            known.extend(new)
        else:
            known.extend(new)
            known.sort(key=lambda event: event.order)
            fold = GroupFold(known, inputs.pipelines.as_known(known_at), inputs.currency)
            fold.rewound, new = True, known
        fold.known_at = known_at
        rewound = fold.rewound
        before = {} if rewound else {d: _sizes(fold, d) for d in fold.deals}
        fold.extend(new)
        _enter(books, fold, before if not fold.rewound else {}, known_at)
    return books, fold


def _sizes(fold: GroupFold, deal_id: str) -> tuple[int, int]:
    """Rows that stay as they are when events are folded on top; the last ones may change."""
    visits, spans = fold.deals[deal_id].visits, fold.tracks[deal_id].starts
    return max(0, len(visits) - 1), max(0, len(spans) - 2)


def _enter(
    books: Books,
    fold: GroupFold,
    before: dict[str, tuple[int, int]],
    known_at: datetime,
) -> None:
    for deal_id, deal in fold.deals.items():
        visits, spans = books.setdefault(deal_id, (Ledger[Visit](), Ledger[Span]()))
        first_visit, first_span = before.get(deal_id, (0, 0))
        visits.update(deal.visible_visits()[first_visit:], first_visit, known_at)
        spans.update(fold.tracks[deal_id].spans(first_span), first_span, known_at)
    for deal_id in books.keys() - fold.deals.keys():
        books[deal_id][0].update((), 0, known_at)
        books[deal_id][1].update((), 0, known_at)
