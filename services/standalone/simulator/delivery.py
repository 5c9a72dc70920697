"""From what happened to what arrives: numbered events, some of them late, some of them twice."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from services.standalone.simulator.draws import chance, lognormal
from services.standalone.simulator.happening import Happening, instant

SOURCE = "/simulator"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATE, _TWICE = 0.025, 0.008
_LATE_HOURS, _LATE_SPREAD, _LATE_MOST = 5.0, 1.3, 24 * 9
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event and when it arrives."""

    at: datetime
    event: Event


def numbered(happenings: Iterable[Happening]) -> Iterator[tuple[int, Happening]]:
    """In order of time, each with the source's own counter: milliseconds, made unique."""
    last = 0
    for happening in sorted(happenings, key=lambda one: one.at):
        last = max(last + 1, (happening.at - EPOCH) // timedelta(milliseconds=1))
        yield last, happening


def cloud_event(sequence: int, happening: Happening, prefix: str) -> Event:
    """One structured CloudEvent; id and sequence follow from when it happened."""
    return {
        "specversion": "1.0",
        "id": f"{prefix}-{sequence}",
        "source": SOURCE,
        "type": happening.type,
        "time": instant(happening.at),
        "subject": happening.subject,
        "sequence": str(sequence),
        "data": dict(happening.data),
    }


def delivered(rng: Random, happenings: Iterable[Happening], until: datetime) -> Sequence[Event]:
    """Events as they arrive up to `until`, in order of arrival."""
    deliveries = [
        delivery
        for sequence, happening in numbered(happenings)
        for delivery in _deliveries(rng, cloud_event(sequence, happening, "sim"), happening.at)
        if delivery.at <= until
    ]
    deliveries.sort(key=lambda one: (one.at, int(one.event["sequence"])))
    return [delivery.event for delivery in deliveries]


def _deliveries(rng: Random, event: Event, at: datetime) -> Iterator[Delivery]:
    """A late event says in `recordedtime` when its source learned of it."""
    if chance(rng, _LATE):
        hours = min(lognormal(rng, _LATE_HOURS, _LATE_SPREAD), _LATE_MOST)
        at += timedelta(seconds=int(hours * 3600))
        event["recordedtime"] = instant(at)
    yield Delivery(at, event)
    if chance(rng, _TWICE):
        yield Delivery(at + timedelta(seconds=rng.randint(5, 7200)), event)
