"""What a refolded group tells: late events together first, then each event at the head in turn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.funnel.app.model import Cause
from services.funnel.app.publish import Publisher
from services.funnel.domain.fold import GroupFold, is_context
from services.funnel.domain.inputs import Inputs
from services.funnel.domain.model import FoldEvent
from services.funnel.domain.project import stream_of
from services.funnel.domain.routing import named_pipeline


@dataclass(frozen=True, slots=True)
class News:
    """An event that no record has told yet: a deal's, or an account's or owner's."""

    event: FoldEvent
    cause: Cause


def tell(
    inputs: Inputs,
    publishers: dict[str, Publisher],
    events: Sequence[FoldEvent],
    news: Sequence[News],
    now: datetime,
) -> dict[str, Publisher]:
    """Hand each deal's publisher the states that sorted `news`, none later than `now`, bring."""
    fold, late, ahead = _prepared(inputs, events, news, now)
    for item in late:
        _tell(publishers, fold, item, item.event.occurred_at)
    for item in ahead:
        fold.extend([item.event])
        _tell(publishers, fold, item, _renamed_from(publishers, fold, item.event, events))
    return publishers


def _prepared(
    inputs: Inputs, events: Sequence[FoldEvent], news: Sequence[News], now: datetime
) -> tuple[GroupFold, list[News], list[News]]:
    """The fold of everything before the news at the head, with the late news and those."""
    fresh = {(item.event.source, item.event.id) for item in news}
    visible = [event for event in events if event.occurred_at <= now]
    stream = [e for e in stream_of(visible, inputs) if e.occurred_at <= now]
    head = max((e.order for e in stream if (e.source, e.id) not in fresh), default=None)
    late = [item for item in news if head is not None and item.event.order < head]
    ahead = list(news[len(late) :])
    fold = GroupFold(visible, inputs.pipelines.as_known(None), inputs.currency)
    first = ahead[0].event.order if ahead else None
    fold.extend(e for e in stream if first is None or e.order < first)
    return fold, late, ahead


def _tell(
    publishers: Mapping[str, Publisher],
    fold: GroupFold,
    item: News,
    corrected_from: datetime | None,
) -> None:
    """A record for the deal that the event is about, and one for each other that it changed."""
    target = None if is_context(item.event) else fold.target(item.event)
    for deal_id, state in fold.states().items():
        publisher = publishers[deal_id]
        if deal_id == target or publisher.told != state:
            publisher.take(state, item.cause, corrected_from)


def _renamed_from(
    publishers: Mapping[str, Publisher],
    fold: GroupFold,
    event: FoldEvent,
    events: Sequence[FoldEvent],
) -> datetime | None:
    """The first naming of a pipeline corrects the deal's whole past."""
    named = None if is_context(event) else named_pipeline(event)
    if named is None:
        return None
    told = publishers[fold.target(event)].told
    if told is None or told.facts.pipeline_id == named:
        return None
    if any(named_pipeline(e) is not None for e in events if e.order < event.order):
        return None
    return min(e.occurred_at for e in events)
