"""The EventLog port: the small surface that every log adapter offers.

Guarantees of each adapter, judged by one contract suite (`libs.common.testing.eventlog_contract`):

1. an acknowledged record survives the death of the process that sent it;
2. records with one key keep their order, and positions within a partition only grow;
3. a reader says where to start and is told (`OffsetOutOfRange`, `TopicChanged`) when that is no
   longer possible; nothing is skipped silently;
4. the reader is handed bytes; decoding errors are the caller's.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to append. `partition` is explicit only where a key must not choose it."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A stored record. `appended_at` is the log's own append time."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    appended_at: datetime


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class PartitionEnds:
    """`start` is the first offset still kept, `end` the next one to be written."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """What a topic is created with. Retention of `None` means for ever."""

    name: str
    partitions: int = 12
    retention_days: float | None = 14
    retention_bytes: int | None = None
    compact: bool = False


class LogError(Exception):
    """Base of the port's errors."""


class LogUnavailable(LogError):
    """The log cannot be reached or did not acknowledge in time: retry later."""


class RecordTooLarge(LogError):
    """The log refused a record for good because of its size."""


class UnknownTopic(LogError):
    """The topic does not exist; topics are never created by use."""


class OffsetOutOfRange(LogError):
    """The position asked for is not kept any more (or not written yet)."""

    def __init__(self, partition: Partition, offset: int, ends: PartitionEnds) -> None:
        super().__init__(f"{partition} has [{ends.start}, {ends.end}), not {offset}")
        self.partition, self.offset, self.ends = partition, offset, ends


class TopicChanged(LogError):
    """The topic's id is not the one that the positions belong to."""


Assigned = Callable[[Collection[Partition]], Awaitable[None]]


class Reader(Protocol):
    """One member of a reader group, or a tail: a reader of all partitions, without a group.

    Assignment is advice; only the epoch fence protects.

    `on_assigned` and `on_revoked` are awaited from within `read`, never from another task, so a
    caller needs no lock. After an assignment nothing is read from a partition until `seek`.
    """

    async def start(self, on_assigned: Assigned, on_revoked: Assigned) -> None: ...

    def seek(self, partition: Partition, offset: int) -> None: ...

    async def read(self, max_records: int, max_wait: float) -> Sequence[Record]:
        """Up to `max_records` in offset order per partition; empty after `max_wait` seconds."""
        ...

    async def report(self, positions: Mapping[Partition, int]) -> None:
        """Publish committed positions for lag tools; best effort. A tail has none."""
        ...

    async def stop(self) -> None: ...


class EventLog(Protocol):
    """A partitioned, durable, ordered log. Key to partition is murmur2 in every adapter."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def create_topics(self, topics: Sequence[TopicConfig]) -> None:
        """Create the topics that are missing; never changes an existing one."""
        ...

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        """Return `(partition, offset)` of each record once all of them are durable."""
        ...

    async def topic_id(self, topic: str) -> str: ...

    async def ends(self, topic: str) -> Mapping[Partition, PartitionEnds]: ...

    def reader(self, topics: Sequence[str], group: str | None, member: str) -> Reader:
        """A member of a group; without one a tail, which leaves nothing behind in the log."""
        ...
