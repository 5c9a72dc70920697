"""The log in memory: for tests, with failures, duplicates and rebalances on command."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from libs.common.clock import Clock
from libs.common.eventlog.placing import place
from libs.common.eventlog.port import (
    Assigned,
    LogError,
    NewRecord,
    OffsetOutOfRange,
    Partition,
    PartitionEnds,
    Record,
    TopicChanged,
    TopicConfig,
    UnknownTopic,
)


class _Topic:
    def __init__(self, topic_id: str, partitions: int) -> None:
        self.topic_id = topic_id
        self.starts = [0] * partitions
        self.records: list[list[Record]] = [[] for _ in range(partitions)]

    def ends(self, number: int) -> PartitionEnds:
        return PartitionEnds(self.starts[number], self.starts[number] + len(self.records[number]))


class MemoryLog:
    """Implements `EventLog`. `fail_appends` and `fail_reads` raise their errors one after another;
    `repeat_next` delivers the next read twice."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._topics: dict[str, _Topic] = {}
        self._made = 0
        self.appended = asyncio.Condition()
        self.fail_appends: list[LogError] = []
        self.fail_reads: list[LogError] = []
        self.repeat_next = False
        self.groups: dict[str, list[MemoryReader]] = defaultdict(list)
        self.reported: dict[str, dict[Partition, int]] = defaultdict(dict)

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    async def create_topics(self, topics: Sequence[TopicConfig]) -> None:
        for topic in topics:
            if topic.name not in self._topics:
                self._made += 1
                self._topics[topic.name] = _Topic(f"memory-{self._made}", topic.partitions)

    def recreate(self, name: str) -> None:
        """The topic is deleted and made anew, under another id."""
        self._made += 1
        self._topics[name] = _Topic(f"memory-{self._made}", len(self.topic(name).records))

    def trim(self, partition: Partition, start: int) -> None:
        """Retention drops what is before `start`."""
        topic = self.topic(partition.topic)
        cut = start - topic.starts[partition.number]
        del topic.records[partition.number][:cut]
        topic.starts[partition.number] = start

    def topic(self, name: str) -> _Topic:
        if name not in self._topics:
            raise UnknownTopic(name)
        return self._topics[name]

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        if self.fail_appends:
            raise self.fail_appends.pop(0)
        held = self.topic(topic)
        placed = place(records, len(held.records))
        written = [
            self._write(held, topic, number, r) for number, r in zip(placed, records, strict=True)
        ]
        async with self.appended:
            self.appended.notify_all()
        return written

    def _write(self, held: _Topic, topic: str, number: int, new: NewRecord) -> tuple[int, int]:
        offset = held.ends(number).end
        now = self._clock.now()
        held.records[number].append(
            Record(topic, number, offset, new.key, new.value, new.headers, now)
        )
        return number, offset

    async def topic_id(self, topic: str) -> str:
        return self.topic(topic).topic_id

    async def ends(self, topic: str) -> Mapping[Partition, PartitionEnds]:
        held = self.topic(topic)
        return {Partition(topic, n): held.ends(n) for n in range(len(held.records))}

    def reader(self, topics: Sequence[str], group: str | None, member: str) -> "MemoryReader":
        return MemoryReader(self, topics, group, member)


class MemoryReader:
    """Implements `Reader`. Members of a group share the partitions in turn; `assign` overrides."""

    def __init__(
        self, log: MemoryLog, topics: Sequence[str], group: str | None, member: str
    ) -> None:
        self._log, self._topics, self._group, self.member = log, topics, group, member
        self._members = [self] if group is None else log.groups[group]
        self._positions: dict[Partition, int] = {}
        self._ids: dict[str, str] = {}
        self._held: frozenset[Partition] = frozenset()
        self._scripted: frozenset[Partition] | None = None

    async def start(self, on_assigned: Assigned, on_revoked: Assigned) -> None:
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        if self not in self._members:
            self._members.append(self)

    def assign(self, partitions: Collection[Partition]) -> None:
        """From the next read on, hold exactly these."""
        self._scripted = frozenset(partitions)

    def seek(self, partition: Partition, offset: int) -> None:
        self._positions[partition] = offset
        self._ids[partition.topic] = self._log.topic(partition.topic).topic_id

    async def read(self, max_records: int, max_wait: float) -> Sequence[Record]:
        await self._rebalance()
        if self._log.fail_reads:
            raise self._log.fail_reads.pop(0)
        if found := self._ready(max_records):
            return found
        try:
            async with asyncio.timeout(max_wait), self._log.appended:
                await self._log.appended.wait()
        except TimeoutError:
            return []
        return self._ready(max_records)

    async def _rebalance(self) -> None:
        wanted = self._scripted if self._scripted is not None else self._share()
        lost, gained = self._held - wanted, wanted - self._held
        self._held = wanted
        for partition in lost:
            self._positions.pop(partition, None)
        if lost:
            await self._on_revoked(lost)
        if gained:
            await self._on_assigned(gained)

    def _share(self) -> frozenset[Partition]:
        every = [
            Partition(topic, n)
            for topic in self._topics
            for n in range(len(self._log.topic(topic).records))
        ]
        return frozenset(every[self._members.index(self) :: len(self._members)])

    def _ready(self, limit: int) -> list[Record]:
        found: list[Record] = []
        for partition, position in sorted(self._positions.items()):
            found += self._from(partition, position)[: limit - len(found)]
        if self._log.repeat_next and found:
            self._log.repeat_next = False
            return found  # positions stay: the same records come again
        for record in found:
            self._positions[Partition(record.topic, record.partition)] = record.offset + 1
        return found

    def _from(self, partition: Partition, position: int) -> list[Record]:
        topic = self._log.topic(partition.topic)
        if topic.topic_id != self._ids[partition.topic]:
            raise TopicChanged(partition.topic)
        ends = topic.ends(partition.number)
        if not ends.start <= position <= ends.end:
            raise OffsetOutOfRange(partition, position, ends)
        return topic.records[partition.number][position - ends.start :]

    async def report(self, positions: Mapping[Partition, int]) -> None:
        if self._group is not None:
            self._log.reported[self._group] |= positions

    async def stop(self) -> None:
        if self in self._members:
            self._members.remove(self)
