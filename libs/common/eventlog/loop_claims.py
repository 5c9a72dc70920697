"""What one member of a reader group holds: partitions, their epochs, and how far it has come."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from libs.common.contracts.topics import TOPICS
from libs.common.db import positions
from libs.common.db.database import Database
from libs.common.db.positions import Claim, Fenced, Step
from libs.common.eventlog.port import EventLog, Partition, PartitionEnds, Record


@dataclass(frozen=True, slots=True)
class Hole:
    """Offsets that a reader left out: [`expected`, `found`)."""

    partition: Partition
    expected: int
    found: int


class Skipped(Exception):
    """The reader did not go on where we stand. A second reader has to confirm that."""

    def __init__(self, hole: Hole) -> None:
        super().__init__(f"the reader left out [{hole.expected}, {hole.found}) of {hole.partition}")
        self.hole = hole


class Claims:
    """The claims of one session. `schema` holds the positions."""

    def __init__(
        self, log: EventLog, database: Database, schema: str, group: str, owner: str
    ) -> None:
        self._log, self._database = log, database
        self._schema, self._group, self._owner = schema, group, owner
        self._held: dict[Partition, Claim] = {}
        self._since: dict[Partition, datetime] = {}
        """What waits in a partition was appended at this instant or later, by the log's clock."""
        self._ends: dict[Partition, int] = {}
        """The next offset to be written, as far as it is known."""
        self._holes: set[Hole] = set()

    async def take(self, partitions: Collection[Partition]) -> None:
        """Claim partitions, which fences whoever had them. All or nothing."""
        taken = {}
        topics = sorted({partition.topic for partition in partitions})
        known = [(t, await self._log.topic_id(t), await self._log.ends(t)) for t in topics]
        async with self._database.across_tenants() as tx:
            for topic, topic_id, ends in known:
                for partition in sorted(p for p in partitions if p.topic == topic):
                    taken[partition] = await positions.claim(
                        tx, self._schema, self._group, partition, topic_id,
                        start=ends[partition].start, owner=self._owner,
                    )  # fmt: skip
        self._held |= taken

    def drop(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            for of in (self._held, self._since, self._ends):
                of.pop(partition, None)

    def clear(self) -> None:
        for of in (self._held, self._since, self._ends):
            of.clear()

    def at(self) -> Mapping[Partition, int]:
        """The next offset of every partition that is held."""
        return {partition: claim.next_offset for partition, claim in self._held.items()}

    def fresh(self, records: Sequence[Record]) -> list[Record]:
        """The records that are ours and not committed yet; raises `Skipped` where some are missing.

        A reader may bring records twice, or begin elsewhere than it was told; neither may move a
        position backwards or over records.
        """
        expected, kept = dict(self.at()), []
        for record in records:
            partition = Partition(record.topic, record.partition)
            if record.offset < expected.get(partition, record.offset + 1):
                continue
            self._refuse_hole(Hole(partition, expected[partition], record.offset))
            expected[partition] = record.offset + 1
            kept.append(record)
        self._note(kept)
        return kept

    def _note(self, records: Sequence[Record]) -> None:
        """The first record that is read of a partition is the oldest one that waits there."""
        for record in reversed(records):
            partition = Partition(record.topic, record.partition)
            self._since[partition] = record.appended_at
            self._ends[partition] = max(self._ends.get(partition, 0), record.offset + 1)

    def _refuse_hole(self, hole: Hole) -> None:
        if hole.expected != hole.found and hole not in self._holes:
            topic = TOPICS.get(hole.partition.topic)
            if topic is None or topic.cleanup != "compact":
                raise Skipped(hole)

    def believe(self, hole: Hole) -> None:
        """A hole that a second reader confirmed: transaction markers leave such ones."""
        self._holes.add(hole)

    def steps(self, batch: Sequence[Record]) -> list[Step]:
        """How far a batch moves each partition."""
        last = {Partition(record.topic, record.partition): record for record in batch}
        try:
            return [Step(self._held[p], r.offset + 1, r.appended_at) for p, r in last.items()]
        except KeyError:
            raise Fenced("a partition of the batch was revoked") from None

    def advanced(self, steps: Sequence[Step]) -> None:
        """The steps are committed."""
        for step in steps:
            partition = step.claim.partition
            self._held[partition] = replace(step.claim, next_offset=step.next_offset)
            self._since[partition] = step.log_time

    def saw(self, ends: Mapping[Partition, PartitionEnds], at: datetime) -> None:
        """The log's ends, asked for at an instant: where nothing waits, what will is younger."""
        for partition, claim in self._held.items():
            if partition in ends:
                self._ends[partition] = ends[partition].end
                if ends[partition].end <= claim.next_offset:
                    self._since[partition] = at

    def lags(self) -> Mapping[Partition, int]:
        """Records that wait, by partition, as far as the log's ends are known."""
        ends = self._ends
        return {p: max(0, ends[p] - c.next_offset) for p, c in self._held.items() if p in ends}

    def idle(self, lags: Mapping[Partition, int]) -> Sequence[Claim]:
        """The claims of partitions in which nothing waits."""
        return [claim for partition, claim in self._held.items() if lags.get(partition) == 0]

    def seconds_behind(self, lags: Mapping[Partition, int], now: datetime) -> float:
        """Since when the partition waits that is furthest behind: its first record that is read
        and not committed, else its last committed one, else since nothing waited."""
        waiting = [t for p, t in self._since.items() if lags.get(p)]
        return max(((now - t).total_seconds() for t in waiting), default=0.0)
