"""The log on Apache Kafka (4.x), through aiokafka."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from libs.common.eventlog.kafka_metadata import TopicsRequest, described, until_known
from libs.common.eventlog.kafka_producer import Producer
from libs.common.eventlog.kafka_reader import KafkaReader
from libs.common.eventlog.placing import MAX_RECORD_BYTES, place
from libs.common.eventlog.port import (
    LogUnavailable,
    NewRecord,
    Partition,
    PartitionEnds,
    TopicConfig,
    UnknownTopic,
)
from libs.common.eventlog.timed import appending

DEADLINE = 1.5
SESSION = 30.0
REPLICAS = 3
"""Copies of each partition, where there are as many brokers."""
IN_SYNC = 2
"""So many of three copies have a record before it counts as durable; one may be away."""
_DAY_MS = 86_400_000


class KafkaLog:
    """Implements `EventLog`. `deadline` and `session` in seconds.

    With an `instance` its readers are static members of their groups.
    """

    def __init__(
        self,
        servers: Sequence[str],
        client_id: str,
        deadline: float = DEADLINE,
        session: float = SESSION,
        instance: str | None = None,
    ) -> None:
        self.servers, self._client_id = list(servers), client_id
        self._producer = Producer(servers, client_id, deadline)
        self.session, self.instance = session, instance
        self._lookup: Any = None
        self._partitions: dict[str, int] = {}
        self._starting, self._leaving = asyncio.Lock(), set[asyncio.Task[None]]()

    async def start(self) -> None:
        await self._client()

    async def stop(self) -> None:
        await self._producer.stop()
        if self._lookup is not None:
            lookup, self._lookup = self._lookup, None
            await _stop(lookup)
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def _abandon(self, lookup: Any) -> None:
        """Stop one that did not start, while nobody waits for it."""
        leaving = asyncio.create_task(_stop(lookup))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _client(self) -> Any:
        """A consumer of nothing, for questions about topics."""
        async with self._starting:
            if self._lookup is None:
                lookup = AIOKafkaConsumer(
                    bootstrap_servers=self.servers, client_id=self._client_id,
                    enable_auto_commit=False, auto_offset_reset="none", group_id=None,
                    request_timeout_ms=10_000,
                )  # fmt: skip
                try:
                    await asyncio.wait_for(lookup.start(), 10)
                except (KafkaError, OSError, TimeoutError) as error:
                    self._abandon(lookup)
                    raise LogUnavailable(f"{type(error).__name__}: {error}") from error
                except asyncio.CancelledError:
                    self._abandon(lookup)  # who asked has a shorter deadline
                    raise
                self._lookup = lookup
        return self._lookup

    async def create_topics(self, topics: Sequence[TopicConfig]) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers, client_id=self._client_id)
        try:
            await asyncio.wait_for(admin.start(), 10)
            brokers = len((await self._client())._client.cluster.brokers())
            copies = min(REPLICAS, brokers)
            response = await admin.create_topics([_new(topic, copies) for topic in topics])
            for name, code, *_ in response.topic_errors:
                error = for_code(code)
                if code and error is not TopicAlreadyExistsError:
                    raise error(name)
            async with asyncio.timeout(10):
                await until_known(self.topic_id, [topic.name for topic in topics])
        except (KafkaError, OSError, TimeoutError) as error:
            raise LogUnavailable(f"{type(error).__name__}: {error}") from error
        finally:
            with suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(admin.close(), 5)

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        if not records:
            return []
        with appending(topic, len(records)):
            if topic not in self._partitions:
                self._partitions[topic] = (await self._described(topic))[1]
            placed = place(records, self._partitions[topic])
            return await self._producer.send(topic, placed, records)

    async def topic_id(self, topic: str) -> str:
        return (await self._described(topic))[0]

    async def _described(self, topic: str) -> tuple[str, int]:
        client = (await self._client())._client  # no public way to a topic's id
        try:
            node = client.get_random_node()
            response = await asyncio.wait_for(client.send(node, TopicsRequest([topic])), 10)
        except (KafkaError, OSError, TimeoutError) as error:
            raise LogUnavailable(f"{type(error).__name__}: {error}") from error
        found = described(response)
        if topic not in found:
            raise UnknownTopic(topic)
        return found[topic]

    async def ends(self, topic: str) -> Mapping[Partition, PartitionEnds]:
        _, partitions = await self._described(topic)
        lookup = await self._client()
        places = [TopicPartition(topic, n) for n in range(partitions)]
        try:
            async with asyncio.timeout(10):
                await lookup._client.add_topic(topic)  # its leaders must be known
                starts = await lookup.beginning_offsets(places)
                ends = await lookup.end_offsets(places)
        except (KafkaError, OSError, TimeoutError) as error:
            raise LogUnavailable(f"{type(error).__name__}: {error}") from error
        return {Partition(topic, p.partition): PartitionEnds(starts[p], ends[p]) for p in places}

    def reader(self, topics: Sequence[str], group: str | None, member: str) -> KafkaReader:
        return KafkaReader(self, topics, group, member)


async def _stop(lookup: Any) -> None:
    with suppress(KafkaError, OSError, TimeoutError):
        await asyncio.wait_for(lookup.stop(), 5)


def _new(topic: TopicConfig, copies: int) -> Any:
    keep = -1 if topic.retention_days is None else int(topic.retention_days * _DAY_MS)
    configs = {
        "cleanup.policy": "compact" if topic.compact else "delete",
        "retention.ms": str(keep),
        "retention.bytes": str(topic.retention_bytes or -1),
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MAX_RECORD_BYTES + 64 * 1024),
    }
    if copies >= REPLICAS:  # by the broker's own setting one copy may be all that has a record
        configs["min.insync.replicas"] = str(IN_SYNC)
    return NewTopic(topic.name, topic.partitions, copies, topic_configs=configs)
