"""The fold of one group of deals over one set of known events, in total order.

A group is the deals that merges connect; usually one. Account and user events take part in the
stream, so a dimension changes at the instant at which its account or owner changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from libs.common.contracts import events as ev
from libs.common.contracts.values import EARLIEST
from services.funnel.domain.deal import DealFold
from services.funnel.domain.inputs import KnownPipelines
from services.funnel.domain.model import DealState, Facts, FoldEvent, Order, Ref, Span
from services.funnel.domain.routing import DEFAULT_PIPELINE, Router, first_pipelines, named_pipeline

CONTEXT = (ev.AccountUpserted, ev.UserUpserted)


def is_context(event: FoldEvent) -> bool:
    return isinstance(event.data, CONTEXT)


def context_ref(event: FoldEvent) -> Ref:
    return event.type.partition(".")[0], event.subject


def context_values(event: FoldEvent) -> dict[str, Any]:
    """What an upsert says; what it leaves out stays as it was."""
    return event.data.model_dump(exclude_none=True)


class SpanTrack:
    """Stretches of equal facts; of several states in one instant only the last one counts."""

    __slots__ = ("starts",)

    def __init__(self) -> None:
        self.starts: list[tuple[datetime, Facts]] = []

    def record(self, at: datetime, facts: Facts) -> None:
        if self.starts and self.starts[-1][0] == at:
            self.starts.pop()
        if not self.starts or self.starts[-1][1] != facts:
            self.starts.append((at, facts))

    def spans(self, start: int = 0) -> list[Span]:
        """Spans from index `start` on."""
        ends = [at for at, _ in self.starts[start + 1 :]] + [None]
        return [
            Span(start + i + 1, at, end, facts)
            for i, ((at, facts), end) in enumerate(zip(self.starts[start:], ends, strict=True))
        ]


class GroupFold:
    """Folds a group's stream; `known` must be all events that are known, to name pipelines."""

    def __init__(
        self, known: Iterable[FoldEvent], pipelines: KnownPipelines, currency: str
    ) -> None:
        self.deals: dict[str, DealFold] = {}
        self.tracks: dict[str, SpanTrack] = {}
        self.head: Order | None = None
        self.known_at = EARLIEST
        self.rewound = False
        self._named: Mapping[str, str] = first_pipelines(e for e in known if not is_context(e))
        self._pipelines = pipelines
        self._currency = currency
        self._router = Router()
        self.context: dict[Ref, dict[str, Any]] = {}

    def takes(self, events: Sequence[FoldEvent]) -> bool:
        """Whether sorted `events` can be folded on top, without folding anew."""
        if self.head is not None and events and events[0].order <= self.head:
            return False
        return not any(self._names_anew(event) for event in events if not is_context(event))

    def _names_anew(self, event: FoldEvent) -> bool:
        target = self._router.target(event.subject, event.occurred_at)
        return named_pipeline(event) is not None and target not in self._named

    def extend(self, events: Iterable[FoldEvent]) -> None:
        """Fold events that come after the head, in total order."""
        for event in events:
            self.head = event.order
            if is_context(event):
                self._apply_context(event)
            else:
                self._apply(event)

    def target(self, event: FoldEvent) -> str:
        """The deal that an event about deals counts for, as merges stand at the head."""
        return self._router.target(event.subject, event.occurred_at)

    def lineage(self, deal_id: str) -> list[str]:
        """`deal_id` and every deal that it ended in by a merge, in order."""
        return self._router.chain(deal_id)

    def _apply_context(self, event: FoldEvent) -> None:
        ref = context_ref(event)
        self.context.setdefault(ref, {}).update(context_values(event))
        name = "account_id" if ref[0] == "account" else "owner_id"
        for deal in self.deals.values():
            if deal.fields[name] == ref[1] and deal.merged_into is None:
                self._record(deal, event.occurred_at)

    def _apply(self, event: FoldEvent) -> None:
        target = self._router.target(event.subject, event.occurred_at)
        deal = self._deal(target)
        deal.apply(event)
        if isinstance(event.data, ev.DealMerged):
            self._merge(deal, event, event.data.merged_deal_ids)
        if isinstance(event.data, ev.ActivityData):
            self._share(target, event, event.data)
        if isinstance(event.data, ev.DealDeleted | ev.DealRestored | ev.DealMerged):
            self.rewound = True
        if not isinstance(event.data, ev.ActivityData) or not self.tracks[target].starts:
            self._record(deal, event.occurred_at)

    def _merge(self, survivor: DealFold, event: FoldEvent, merged_ids: Sequence[str]) -> None:
        for merged_id in merged_ids:
            if self._router.merge(survivor.deal_id, merged_id, event.occurred_at):
                merged = self._deal(merged_id)
                merged.end_by_merge(survivor.deal_id, event)
                survivor.absorb(merged)
                self._record(merged, event.occurred_at)

    def _share(self, target: str, event: FoldEvent, data: ev.ActivityData) -> None:
        """An activity of the very instant of the merge still counts for the survivors."""
        for survivor in self._router.chain(target)[1:]:
            self.deals[survivor].do(event, data)

    def _deal(self, deal_id: str) -> DealFold:
        if deal_id not in self.deals:
            pipeline_id = self._named.get(deal_id, DEFAULT_PIPELINE)
            self.deals[deal_id] = DealFold(deal_id, pipeline_id, self._pipelines, self._currency)
            self.tracks[deal_id] = SpanTrack()
        return self.deals[deal_id]

    def _record(self, deal: DealFold, at: datetime) -> None:
        self.tracks[deal.deal_id].record(at, deal.facts(self.context))

    def states(self) -> dict[str, DealState]:
        """Each deal as of the head."""
        return {
            deal_id: deal_state(deal, self.tracks[deal_id].starts[-1][1])
            for deal_id, deal in self.deals.items()
        }


def deal_state(deal: DealFold, facts: Facts) -> DealState:
    """The state row of a deal that has folded at least one event."""
    assert deal.recorded_at is not None  # noqa: S101  # set by its first event
    return DealState(
        deal.deal_id,
        facts,
        deal.activities.at(deal.last_event_at),
        deal.last_event_at,
        deal.recorded_at,
    )
