"""What a refusal of the broker means: too few copies are an outage, too many bytes are final."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
)

from libs.common.eventlog.kafka_producer import BULK, Producer
from libs.common.eventlog.port import LogUnavailable, NewRecord, RecordTooLarge


class Refusing:
    """A client whose broker answers each batch with the same error."""

    def __init__(self, error: type[KafkaError]) -> None:
        self.error, self.client = error, None
        self._sender = SimpleNamespace(sender_task=None)

    def create_batch(self) -> Any:
        return SimpleNamespace(append=lambda **_: object(), close=lambda: None)

    async def send(self, *_: Any, **__: Any) -> "asyncio.Future[Any]":
        answer = asyncio.get_running_loop().create_future()
        answer.set_exception(self.error())
        return answer

    send_batch = send

    async def stop(self) -> None: ...


def refused_with(error: type[KafkaError]) -> Producer:
    producer = Producer(["127.0.0.1:1"], "tests", 1.5)
    producer._producer = Refusing(error)
    return producer


async def send(producer: Producer, records: int) -> None:
    one = NewRecord(b"k", b"v")
    await producer.send("headway.tests", [0] * records, [one] * records)


@pytest.mark.parametrize("records", [1, BULK])
@pytest.mark.parametrize("error", [NotEnoughReplicasError, NotEnoughReplicasAfterAppendError])
async def test_too_few_copies_are_an_outage(error: type[KafkaError], records: int) -> None:
    """Events wait in the spool and are answered 202, as while the broker is away."""
    with pytest.raises(LogUnavailable, match=error.__name__):
        await send(refused_with(error), records)


@pytest.mark.parametrize("records", [1, BULK])
async def test_too_many_bytes_are_final_and_no_outage(records: int) -> None:
    producer = refused_with(MessageSizeTooLargeError)
    with pytest.raises(RecordTooLarge):
        await send(producer, records)
    assert producer._failing_since is None
