"""How the baselines read: aiokafka as its manual shows it, or the port where there is no Kafka."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer

from libs.common.eventlog.kafka_log import KafkaLog
from libs.common.eventlog.port import EventLog, Partition, Reader
from tests.bench.plain import Message

WAIT = 0.2
"""Seconds for which a fetch may wait."""


class Source(Protocol):
    """An open consumer that has its partitions; its first fetch is still to come."""

    async def next(self, most: int) -> Sequence[Message]: ...

    async def done(self) -> None:
        """What was read so far is committed."""
        ...


class _Kafka:
    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    async def next(self, most: int) -> Sequence[Message]:
        found = await self._consumer.getmany(timeout_ms=int(WAIT * 1000), max_records=most)
        return [message for messages in found.values() for message in messages]

    async def done(self) -> None:
        await self._consumer.commit()


class _Port:
    """The reader of another adapter; positions are told to nobody."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    async def next(self, most: int) -> Sequence[Message]:
        messages: Sequence[Message] = await self._reader.read(most, WAIT)
        return messages

    async def done(self) -> None:
        return None


@asynccontextmanager
async def opened(log: EventLog, topic: str, group: str, **options: Any) -> AsyncIterator[Source]:
    """A source at the beginning of `topic`; `options` are aiokafka's."""
    if isinstance(log, KafkaLog):
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=log.servers, group_id=group,
                                    auto_offset_reset="earliest", **options)  # fmt: skip
        await consumer.start()
        try:
            while not consumer.assignment():
                await asyncio.sleep(0.005)
            yield _Kafka(consumer)
        finally:
            await consumer.stop()
        return
    async with from_beginning(log, topic, group) as reader:
        yield _Port(reader)


@asynccontextmanager
async def from_beginning(log: EventLog, topic: str, group: str | None) -> AsyncIterator[Reader]:
    """A reader of the port, at a topic's first record; it tells nobody how far it is."""
    reader = log.reader((topic,), group, "bench")

    async def assigned(partitions: Collection[Partition]) -> None:
        for partition in partitions:
            reader.seek(partition, 0)

    async def revoked(_: Collection[Partition]) -> None:
        return None

    await reader.start(assigned, revoked)
    try:
        yield reader
    finally:
        await reader.stop()


class Watch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = perf_counter()

    @property
    def seconds(self) -> float:
        return perf_counter() - self._started
