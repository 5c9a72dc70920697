"""The clocks of a rule over a deal's timeline: each start of its field begins one."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from services.alerts.domain.rule import Clock, MetBy
from services.alerts.domain.timeline import BEGINNING, Deed, EventRef, Timeline


@dataclass(frozen=True, slots=True)
class Run:
    """One clock: from its start event until `stop` (`None`: it still runs).

    `begins` is later than the start event for an activity that a merge brought, and for a creation
    that stands in again.
    """

    start: EventRef
    begins: datetime
    stop: datetime | None
    due: datetime

    @property
    def key(self) -> tuple[str, str]:
        """What an episode is known by: the event that started the clock."""
        return self.start.source, self.start.event_id


class Meetings:
    """What meets clocks: deeds that happened since a clock's start, once they are the deal's."""

    def __init__(self, met_by: MetBy | None, deeds: Iterable[Deed]) -> None:
        found = sorted(
            (deed.event.at, deed.at) for deed in deeds if met_by and _counts(met_by, deed)
        )
        self._happened = [happened for happened, _ in found]
        self._first = [*accumulate((at for _, at in reversed(found)), min)][::-1]

    def of(self, start: datetime) -> datetime | None:
        """When a clock that started then is met."""
        i = bisect_left(self._happened, start)
        return self._first[i] if i < len(self._first) else None


def _counts(met_by: MetBy, deed: Deed) -> bool:
    return met_by.counts(deed.data.kind, deed.data.direction, bool(deed.data.automated))


def runs(clock: Clock, timeline: Timeline) -> list[Run]:
    """Every clock that the timeline started, in order."""
    return [
        Run(start, begins, stop, clock.due(start.at))
        for start, begins, stop in _STARTS[clock.start](timeline)
    ]


Started = Iterator[tuple[EventRef, datetime, datetime | None]]


def _by_creation(timeline: Timeline) -> Started:
    return _created(timeline, BEGINNING, None)


def _created(timeline: Timeline, since: datetime, until: datetime | None) -> Started:
    """From one instant until another, what was the creation then; never without length."""
    stops = [*(event.at for event in timeline.creations[1:]), None]
    for event, stop in zip(timeline.creations, stops, strict=True):
        begins = max(since, event.at)
        ends = [at for at in (stop, until) if at is not None]
        if not ends or begins < min(ends):
            yield event, begins, min(ends, default=None)


def _by_stage(timeline: Timeline) -> Started:
    """Each visit; the creation stands in before the first one and while there is no stage."""
    left: datetime | None = timeline.creations[0].at
    for visit in timeline.visits:
        if visit.left_at != visit.entered.at:
            yield from _between(timeline, left, visit.entered.at)
            left = visit.left_at
        yield visit.entered, visit.entered.at, visit.left_at
    yield from _between(timeline, left, None)


def _between(timeline: Timeline, left: datetime | None, entered: datetime | None) -> Started:
    """A deal that was won without ever having had a stage has none once it is reopened."""
    state = None if left is None else timeline.at(left)
    if left is not None and state is not None and state["stage_entered_at"] is None:
        yield from _created(timeline, left, entered)


def _by_activity(timeline: Timeline) -> Started:
    """Each activity that became the last one; before the first, the creation stands in.

    One that a merge brings does so only if it is later than the last one.
    """
    deeds = iter(timeline.deeds)
    if (last := next(deeds, None)) is None:
        yield from _created(timeline, BEGINNING, None)
        return
    yield from _created(timeline, BEGINNING, last.at)
    for deed in deeds:
        if deed.event.at < last.event.at or (deed.brought and deed.event.at == last.event.at):
            continue
        yield last.event, last.at, deed.at
        last = deed
    yield last.event, last.at, None


_STARTS = {
    "created_at": _by_creation,
    "stage_entered_at": _by_stage,
    "last_activity_at": _by_activity,
}
