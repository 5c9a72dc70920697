"""Reads Kafka with two consumers: one is the group's member, the other fetches what it is told.

The client may begin to fetch before its rebalance callback has run (aiokafka#738). So the member
never fetches; its assignments are handed over inside `read`, where our positions are sought before
the fetching consumer gets the partitions. A tail has no member: it takes all partitions itself.
"""

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from libs.common.eventlog.port import (
    Assigned,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
    Record,
    TopicChanged,
)

if TYPE_CHECKING:
    from libs.common.eventlog.kafka_log import KafkaLog

CHECK = 10.0
NEVER = 2**31 - 1


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, reader: "KafkaReader") -> None:
        self._reader = reader

    async def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        self._reader.hand_over(frozenset())

    async def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        self._reader.hand_over(frozenset(Partition(tp.topic, tp.partition) for tp in assigned))


class KafkaReader:
    """Implements `Reader`. A dead member keeps its partitions for the log's session, or until its
    instance comes back."""

    def __init__(
        self, log: "KafkaLog", topics: Sequence[str], group: str | None, member: str
    ) -> None:
        self._log, self._topics = log, topics
        common = {"bootstrap_servers": log.servers, "client_id": member,
                  "auto_offset_reset": "none", "enable_auto_commit": False}  # fmt: skip
        self._member = None if group is None else _member_of(group, log, common)
        self._fetching = AIOKafkaConsumer(
            group_id=None, fetch_max_wait_ms=200, max_partition_fetch_bytes=1024 * 1024, **common
        )
        self._wanted: frozenset[Partition] | None = None
        self._held: frozenset[Partition] = frozenset()
        self._positions: dict[Partition, int] = {}
        self._ids: dict[str, str] = {}
        self._checked_at = 0.0

    async def start(self, on_assigned: Assigned, on_revoked: Assigned) -> None:
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        try:
            self._ids = {topic: await self._log.topic_id(topic) for topic in self._topics}
            if self._member is None:
                self._wanted = frozenset([p for t in self._topics for p in await self._log.ends(t)])
            else:
                self._member.subscribe(list(self._topics), listener=_Listener(self))
            await asyncio.wait_for(self._fetching.start(), 10)
            if self._member is not None:
                await asyncio.wait_for(self._member.start(), 30)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            raise LogUnavailable(f"{type(error).__name__}: {error}") from error

    def hand_over(self, partitions: frozenset[Partition]) -> None:
        """The group's word, kept until the next `read`; the member itself fetches nothing."""
        member: Any = self._member
        member.pause(*(TopicPartition(p.topic, p.number) for p in partitions))
        self._wanted = partitions

    def seek(self, partition: Partition, offset: int) -> None:
        self._positions[partition] = offset

    async def read(self, max_records: int, max_wait: float) -> Sequence[Record]:
        await self._rebalance()
        if not self._held:
            await asyncio.sleep(min(max_wait, 0.1))
            return []
        try:
            fetched = await self._fetching.getmany(
                timeout_ms=int(max_wait * 1000), max_records=max_records
            )
        except OffsetOutOfRangeError as error:
            await self._refuse_impossible()
            raise LogUnavailable(str(error)) from error
        except (KafkaError, OSError) as error:
            raise LogUnavailable(f"{type(error).__name__}: {error}") from error
        records = [_record(r) for held in fetched.values() for r in held]
        for record in records:
            self._positions[Partition(record.topic, record.partition)] = record.offset + 1
        if not records:
            await self._check()
        return records

    async def _rebalance(self) -> None:
        if self._wanted is None:
            return
        wanted, self._wanted = self._wanted, None
        lost, gained = self._held - wanted, wanted - self._held
        self._held = wanted
        for partition in lost:
            self._positions.pop(partition, None)
        if lost:
            await self._on_revoked(lost)
        if gained:
            await self._on_assigned(gained)
            await self._refuse_impossible()
        self._fetching.assign([TopicPartition(p.topic, p.number) for p in wanted])
        for partition in wanted:  # no await since assign: nothing is fetched in between
            place = TopicPartition(partition.topic, partition.number)
            self._fetching.seek(place, self._positions[partition])

    async def _refuse_impossible(self) -> None:
        """The client would wait for ever on a position that the log does not have."""
        for topic in self._topics:
            for partition, ends in (await self._log.ends(topic)).items():
                at = self._positions.get(partition, ends.start)
                if not ends.start <= at <= ends.end:
                    raise OffsetOutOfRange(partition, at, ends)

    async def _check(self) -> None:
        """Now and then, while nothing comes: are the topics still the same?"""
        now = asyncio.get_running_loop().time()
        if now - self._checked_at < CHECK:
            return
        self._checked_at = now
        for topic, known in self._ids.items():
            if await self._log.topic_id(topic) != known:
                raise TopicChanged(topic)

    async def report(self, positions: Mapping[Partition, int]) -> None:
        if self._member is None:
            return
        held = {TopicPartition(p.topic, p.number): at for p, at in positions.items()
                if p in self._held}  # fmt: skip
        try:
            await self._member.commit(held)
        except (KafkaError, OSError) as error:
            raise LogUnavailable(f"{type(error).__name__}: {error}") from error

    async def stop(self) -> None:
        for consumer in filter(None, (self._member, self._fetching)):
            await _ended(consumer.stop())
            await _ended(consumer._client.close())  # where the stop did not come that far


async def _ended(ending: Coroutine[Any, Any, None]) -> None:
    """Whatever comes of it: while the broker is away, the client cancels fetches that wait to try
    again and awaits them, which looks to its caller as if that one were cancelled."""
    task = asyncio.create_task(ending)
    await asyncio.wait({task}, timeout=5)
    if task.done() and not task.cancelled():
        task.exception()
    task.cancel()


def _member_of(group: str, log: "KafkaLog", common: Mapping[str, Any]) -> Any:
    """The consumer that belongs to the group and never fetches."""
    return AIOKafkaConsumer(
        group_id=group,
        group_instance_id=f"{group}-{log.instance}" if log.instance else None,
        partition_assignment_strategy=(RangePartitionAssignor,),
        session_timeout_ms=int(log.session * 1000),
        heartbeat_interval_ms=int(log.session * 100),
        max_poll_interval_ms=NEVER,
        **common,
    )


def _record(r: Any) -> Record:
    headers = tuple((name, content or b"") for name, content in r.headers)
    at = datetime.fromtimestamp(r.timestamp / 1000, UTC)
    return Record(r.topic, r.partition, r.offset, r.key, r.value, headers, at)
