"""How far the projection is, as one tenant sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.eventlog.port import Partition, PartitionEnds
from services.funnel.app.watermark import Folded


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was accepted and is not in the log yet; read it before the log's ends.

    All processes of ingest have said so at `said_at` or later; `None` if there are none.
    """

    oldest_unappended: datetime | None
    said_at: datetime | None
    running_imports: int
    oldest_import: datetime | None

    def told(self, asked: datetime) -> bool:
        """Whether each process has spoken since: what it spooled before is known."""
        return self.said_at is None or self.said_at >= asked


@dataclass(frozen=True, slots=True)
class Projected:
    """What is folded; read it after the log's ends. `waiting` counts the tenant's refolds,
    and a sandbox's deals with something due by its clock that no record has told yet."""

    folded: Mapping[int, Folded]
    waiting: int
    generation: int
    watermark: datetime | None


@dataclass(frozen=True, slots=True)
class PartitionLag:
    partition: int
    next_offset: int
    end_offset: int


@dataclass(frozen=True, slots=True)
class Progress:
    """`lag_seconds` is the age of what the partition that is furthest behind was folded up to."""

    caught_up: bool
    lag_records: int
    lag_seconds: float
    watermark: datetime | None
    generation: int
    refolds_waiting: int
    imports_running: int
    partitions: Sequence[PartitionLag]


def progress(
    asked: datetime,
    accepted: Accepted,
    ends: Mapping[Partition, PartitionEnds],
    held: Projected,
    now: datetime,
) -> Progress:
    """Caught up means: everything accepted before the question is folded, nothing waits.

    `asked` is of the database's clock, as what ingest has said.
    """
    partitions = [_lag(p.number, end, held.folded) for p, end in sorted(ends.items())]
    records = sum(lag.end_offset - lag.next_offset for lag in partitions)
    ahead = accepted.oldest_unappended is not None or accepted.running_imports > 0
    marks = [mark for mark in (held.watermark, accepted.oldest_import) if mark is not None]
    return Progress(
        caught_up=accepted.told(asked) and not ahead and records == 0 and held.waiting == 0,
        lag_records=records,
        lag_seconds=_seconds_behind(now, partitions, held.folded),
        watermark=min(marks) if held.watermark is not None else None,
        generation=held.generation,
        refolds_waiting=held.waiting,
        imports_running=accepted.running_imports,
        partitions=partitions,
    )


def _lag(number: int, end: PartitionEnds, folded: Mapping[int, Folded]) -> PartitionLag:
    """A partition without a position is read from its start; a reader may be past our `end`."""
    held = folded.get(number)
    at = end.start if held is None else held.next_offset
    return PartitionLag(number, min(at, end.end), end.end)


def _seconds_behind(
    now: datetime, partitions: Sequence[PartitionLag], folded: Mapping[int, Folded]
) -> float:
    waiting = [lag.partition for lag in partitions if lag.next_offset < lag.end_offset]
    times = [folded[n].log_time for n in waiting if n in folded]
    return max((max(0.0, (now - t).total_seconds()) for t in times if t is not None), default=0.0)
