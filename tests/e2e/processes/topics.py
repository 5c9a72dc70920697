"""What the tests do with topics themselves: read them whole, repeat records, begin anew."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from libs.common.eventlog.kafka_log import KafkaLog
from libs.common.eventlog.port import UnknownTopic

Ends = Mapping[TopicPartition, int]
_OURS = "headway."


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as the broker keeps it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def content(self) -> tuple[Any, ...]:
        """Everything but its place: the same for each repetition."""
        return self.partition, self.key, self.value, self.headers

    def header(self, name: str) -> str:
        return dict(self.headers)[name].decode()

    @property
    def data(self) -> dict[str, Any]:
        decoded: dict[str, Any] = orjson.loads(self.value)
        return decoded


async def ends(server: str, topic: str) -> Ends:
    """The end of each partition; empty for a topic that does not exist."""
    log = KafkaLog(server.split(","), "tests")
    try:
        found = await log.ends(topic)
    except UnknownTopic:
        return {}
    finally:
        await log.stop()
    return {TopicPartition(topic, place.number): held.end for place, held in found.items()}


async def answers(server: str, seconds: float = 1.0) -> bool:
    """Whether a broker tells its topics within so many seconds."""
    limit = int(seconds * 1000)  # the client's own: one that is cancelled leaves its socket open
    admin = AIOKafkaAdminClient(bootstrap_servers=server, request_timeout_ms=limit)
    try:
        await admin.start()
        await admin.list_topics()
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await admin.close()
    return True


async def read(server: str, topic: str, since: Ends) -> list[Kept]:
    """Everything from `since` (else from the start) to the end of now."""
    upto = await ends(server, topic)
    consumer = AIOKafkaConsumer(bootstrap_servers=server, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(upto))
        for place in upto:
            consumer.seek(place, since.get(place, 0))
        records: list[Kept] = []
        async with asyncio.timeout(60):
            while any([await consumer.position(place) < end for place, end in upto.items()]):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    records += map(_kept, batch)
    finally:
        await asyncio.sleep(0)  # a client that is stopped before its tasks began is cancelled
        await consumer.stop()
    return records


def _kept(record: Any) -> Kept:
    headers = tuple((name, value) for name, value in record.headers)
    return Kept(record.partition, record.offset, record.key, record.value, headers)


async def repeat(server: str, topic: str, records: Sequence[Kept]) -> None:
    """Append records once more, as a sender does that missed the acknowledgement."""
    producer = AIOKafkaProducer(bootstrap_servers=server)
    await producer.start()
    try:
        for record in records:
            await producer.send_and_wait(
                topic, record.value, record.key, record.partition, headers=list(record.headers)
            )
    finally:
        await producer.stop()


async def delete_ours(server: str) -> None:
    """Remove every topic of Headway, so that the next ones are new ones."""
    admin = AIOKafkaAdminClient(bootstrap_servers=server)
    await admin.start()
    try:
        async with asyncio.timeout(60):
            while ours := [n for n in await admin.list_topics() if n.startswith(_OURS)]:
                await admin.delete_topics(ours)
                await asyncio.sleep(0.1)
    finally:
        await admin.close()


def by_deal(records: Sequence[Kept]) -> Mapping[tuple[str, str], list[Kept]]:
    """Records of `headway.deals.v1` by (tenant, deal), each in its order; no watermarks."""
    found = defaultdict(list)
    for record in sorted(records, key=lambda r: (r.partition, r.offset)):
        if record.header("ce_type") == "deal.state_changed":
            found[record.header("ce_tenantid"), record.data["deal_id"]].append(record)
    return found
