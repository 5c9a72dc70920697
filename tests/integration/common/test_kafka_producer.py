"""A producer that is replaced leaves nothing behind: over a long outage that would add up."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from libs.common.eventlog import kafka_producer
from libs.common.eventlog.kafka_broker import KafkaBroker
from libs.common.eventlog.kafka_log import KafkaLog
from libs.common.eventlog.kafka_producer import Producer
from libs.common.eventlog.port import LogUnavailable, NewRecord, TopicConfig
from libs.common.testing.fixtures import own_broker

pytestmark = [pytest.mark.kafka, pytest.mark.fault]
TOPIC = "headway.tests.producer"
ONE = [NewRecord(b"k", b"v", ())]


@pytest.fixture
def broker() -> Iterator[KafkaBroker]:
    with own_broker() as started:
        yield started


async def _made(broker: KafkaBroker) -> None:
    log = KafkaLog([broker.server], "tests")
    await log.create_topics([TopicConfig(TOPIC, 1, retention_days=1)])
    await log.stop()


async def _refused(producer: Producer, times: int) -> None:
    for _ in range(times):
        with pytest.raises(LogUnavailable):
            await producer.send(TOPIC, [0], ONE)


@pytest.mark.timeout(120)
async def test_producers_that_were_replaced_are_gone(
    broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _made(broker)
    before = asyncio.all_tasks()
    producer = Producer([broker.server], "tests", 1.5)
    monkeypatch.setattr(kafka_producer, "STUCK", 0.0)
    monkeypatch.setattr(kafka_producer, "STOPPING", 0.5)
    await producer.send(TOPIC, [0], ONE)
    broker.pause()
    await _refused(producer, 4)
    broker.kill()
    await _refused(producer, 4)
    leaving = list(producer._leaving)
    assert leaving, "nothing was replaced"
    await asyncio.wait(leaving, timeout=30)
    left = {repr(task.get_coro()) for task in asyncio.all_tasks() - before}
    assert not left
    broker.start()
    assert await _taken(producer) > 0
    await producer.stop()


@pytest.mark.timeout(120)
async def test_a_producer_whose_sending_task_died_is_replaced_at_once(broker: KafkaBroker) -> None:
    await _made(broker)
    producer = Producer([broker.server], "tests", 1.5)
    (first,) = await producer.send(TOPIC, [0], ONE)
    dead: Any = producer._producer
    dead._sender.sender_task.cancel()
    await asyncio.wait([dead._sender.sender_task])
    assert await producer.send(TOPIC, [0], ONE) == [(0, first[1] + 1)]
    assert producer._producer is not dead
    await producer.stop()


@pytest.mark.timeout(120)
async def test_a_look_up_that_is_given_up_early_leaves_nothing(broker: KafkaBroker) -> None:
    before = asyncio.all_tasks()
    log = KafkaLog([broker.server], "tests")
    broker.pause()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await log.topic_id(TOPIC)
    assert log._leaving, "nobody stops what has not started"
    broker.resume()
    await log.stop()
    assert asyncio.all_tasks() == before


async def _taken(producer: Producer) -> int:
    """The offset that a record gets as soon as the broker takes one."""
    async with asyncio.timeout(30):
        while True:
            try:
                return (await producer.send(TOPIC, [0], ONE))[0][1]
            except LogUnavailable:
                await asyncio.sleep(0.1)
