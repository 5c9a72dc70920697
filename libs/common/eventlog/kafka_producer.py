"""One producer per process, replaced when it is stuck or has failed for good.

Idempotence is off: with it, this client can poison a partition for good (reliability 4.1); without
it, order per key still holds, since one request at a time is under way to each broker.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from libs.common.eventlog.port import LogUnavailable, NewRecord, RecordTooLarge

log = structlog.get_logger()
STUCK, STOPPING = 10.0, 5.0
BULK = 20
"""From this many records on, batches are built by hand: one future per batch, not per record."""


class Producer:
    """Sends records that have their partition; `deadline` bounds each call, in seconds."""

    def __init__(self, servers: Sequence[str], client_id: str, deadline: float) -> None:
        self._servers, self._client_id, self._deadline = list(servers), client_id, deadline
        self._producer: Any = None
        self._failing_since: float | None = None
        self._starting = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()

    async def send(
        self, topic: str, placed: Sequence[int], records: Sequence[NewRecord]
    ) -> list[tuple[int, int]]:
        """`(partition, offset)` of each record once every replica that must has it."""
        try:
            async with asyncio.timeout(self._deadline):
                producer = await self._started()
                send = _send_each if len(records) < BULK else _send_batches
                offsets = await send(producer, topic, placed, records)
        except MessageSizeTooLargeError as error:
            raise RecordTooLarge(str(error)) from error
        except (KafkaError, OSError, TimeoutError) as error:
            self._failed()
            raise LogUnavailable(f"{type(error).__name__}: {error}") from error
        self._failing_since = None
        return offsets

    async def _started(self) -> Any:
        async with self._starting:
            if self._producer is not None and _cannot_send(self._producer):
                self._replace()
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._servers,
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=False,
                    linger_ms=2,
                    max_batch_size=256 * 1024,
                    max_request_size=2 * 1024 * 1024,
                    request_timeout_ms=5_000,
                )
                try:
                    await producer.start()
                except BaseException:
                    self._abandon(producer)
                    raise
                self._producer = producer
        return self._producer

    def _failed(self) -> None:
        """Replace a producer that has acknowledged nothing for a while."""
        now = asyncio.get_running_loop().time()
        self._failing_since = self._failing_since or now
        if self._producer is not None and now - self._failing_since >= STUCK:
            self._replace()

    def _replace(self) -> None:
        log.warning("producer_replaced", client_id=self._client_id)
        self._abandon(self._producer)
        self._producer, self._failing_since = None, None

    def _abandon(self, producer: Any) -> None:
        leaving = asyncio.create_task(_stop(producer))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def stop(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await _stop(producer)
        await asyncio.gather(*self._leaving, return_exceptions=True)


def _cannot_send(producer: Any) -> bool:
    """The client's sending task has ended: it takes records and never sends one (aiokafka#1039)."""
    sending = producer._sender.sender_task
    return sending is not None and sending.done()


async def _stop(producer: Any) -> None:
    """The client's own stop may hang while the broker is down: it is given up after a while, and
    its tasks and connections are ended one by one, or each outage would leave some."""
    try:
        await asyncio.wait_for(producer.stop(), STOPPING)
    except (KafkaError, OSError, TimeoutError):
        for part in (producer._sender, producer.client):
            with suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(part.close(), STOPPING)
        producer._message_accumulator.fail_all(KafkaError("the producer was given up"))


async def _send_each(
    producer: Any, topic: str, placed: Sequence[int], records: Sequence[NewRecord]
) -> list[tuple[int, int]]:
    sent = [
        await producer.send(
            topic, record.value, record.key, partition, headers=list(record.headers)
        )
        for partition, record in zip(placed, records, strict=True)
    ]
    return [(meta.partition, meta.offset) for meta in await asyncio.gather(*sent)]


async def _send_batches(
    producer: Any, topic: str, placed: Sequence[int], records: Sequence[NewRecord]
) -> list[tuple[int, int]]:
    groups: dict[int, list[int]] = defaultdict(list)
    for i, partition in enumerate(placed):
        groups[partition].append(i)
    offsets: dict[int, int] = {}
    await asyncio.gather(
        *(_fill(producer, topic, number, indexes, records, offsets)
          for number, indexes in groups.items())
    )  # fmt: skip
    return [(partition, offsets[i]) for i, partition in enumerate(placed)]


async def _fill(
    producer: Any,
    topic: str,
    partition: int,
    indexes: Sequence[int],
    records: Sequence[NewRecord],
    offsets: dict[int, int],
) -> None:
    """One partition's records in as few batches as hold them, one after the other."""
    pending = list(indexes)
    while pending:
        batch, taken = producer.create_batch(), 0
        for i in pending:
            record = records[i]
            if batch.append(key=record.key, value=record.value, timestamp=None,
                            headers=list(record.headers)) is None:  # fmt: skip
                break
            taken += 1
        if taken == 0:
            raise MessageSizeTooLargeError("a record does not fit into an empty batch")
        batch.close()
        meta = await (await producer.send_batch(batch, topic, partition=partition))
        offsets.update({i: meta.offset + n for n, i in enumerate(pending[:taken])})
        pending = pending[taken:]
