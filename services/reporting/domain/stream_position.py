"""Where a stream stands: per topic the next offset of each partition, and the imports it knows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from libs.common.eventlog.port import Partition, PartitionEnds
from services.reporting.domain.stream import Event, Reason

MOST_REPLAYED = 100_000
"""Records, of all tenants, that a resume reads again; beyond it reading everything is cheaper."""


@dataclass(frozen=True, slots=True)
class Place:
    """A position in one topic. `topic_id` tells a topic from another of the same name."""

    topic_id: str
    offsets: tuple[int, ...]

    def at(self, partition: int) -> int:
        """The next offset; a partition that was added since begins at 0."""
        return self.offsets[partition] if partition < len(self.offsets) else 0

    def moved(self, partition: int, offset: int) -> "Place":
        offsets = list(self.offsets) + [0] * (partition + 1 - len(self.offsets))
        offsets[partition] = offset
        return Place(self.topic_id, tuple(offsets))

    def latest(self, other: "Place") -> "Place":
        """The further one of each partition; of another topic, that one's place."""
        if other.topic_id != self.topic_id:
            return other
        count = max(len(self.offsets), len(other.offsets))
        return Place(self.topic_id, tuple(max(self.at(n), other.at(n)) for n in range(count)))


@dataclass(frozen=True, slots=True)
class Position:
    """What a client resumes from. `imports` counts those whose end it has heard of."""

    places: Mapping[str, Place]
    imports: int

    def after(self, event: Event) -> "Position":
        moved = self.places[event.topic].moved(event.partition, event.offset + 1)
        return replace(self, places={**self.places, event.topic: moved})

    def passed(self, event: Event) -> bool:
        """Whether the client has had it: another process may have been further on."""
        return event.offset < self.places[event.topic].at(event.partition)


Ends = Mapping[Partition, PartitionEnds]


def continued(since: Place, now: Place, ends: Ends) -> Place | Reason:
    """Where to read on from to lose nothing, or why that cannot be done any more.

    Partitions that were added since are read from their start.
    """
    known = {partition.number: end for partition, end in ends.items()}
    added = len(now.offsets) - len(since.offsets)
    if since.topic_id != now.topic_id or added < 0 or len(known) < len(now.offsets):
        return "history_gone"
    first_new = len(since.offsets)
    starts = tuple(known[n].start for n in range(first_new, len(now.offsets)))
    offsets = since.offsets + starts
    if not all(known[n].start <= at <= known[n].end for n, at in enumerate(offsets)):
        return "history_gone"
    missed = sum(max(0, b - a) for a, b in zip(offsets, now.offsets, strict=True))
    return "too_far_behind" if missed > MOST_REPLAYED else Place(now.topic_id, offsets)
