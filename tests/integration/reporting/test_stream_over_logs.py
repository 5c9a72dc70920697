"""Streams over the logs of deployments: live, resumed, and live again."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.topics import DEALS
from libs.common.eventlog.factory import open_log
from libs.common.eventlog.port import EventLog, TopicConfig
from services.reporting.app.stream_limits import Limits
from services.reporting.app.stream_means import Means
from services.reporting.app.stream_positions import Positions
from services.reporting.app.streams import Asked, Streams
from services.reporting.domain.stream import STREAMED, StreamTopic
from tests.integration.reporting.listening import PATIENCE, Told, parsed
from tests.unit.reporting.records import new_record

NAMES = [f"D-{n}" for n in range(30)]


async def always() -> bool:
    return True


async def no_imports(*_: object) -> int:
    return 0


class Reader:
    """Takes blocks off a stream that runs without a server."""

    def __init__(self, streams: Streams, topic: StreamTopic, since: str | None = None) -> None:
        self._opened = streams.opened(Asked("mine", (topic,), since, always))

    async def __aenter__(self) -> "Reader":
        stream = await self._opened.__aenter__()
        self._chunks = stream.chunks()
        self.told = [await self._next()]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._chunks.aclose()
        await self._opened.__aexit__(None, None, None)

    async def _next(self) -> Told:
        async with asyncio.timeout(PATIENCE):
            return parsed((await anext(self._chunks)).strip().splitlines())

    async def subjects(self, count: int) -> Sequence[str]:
        found = [await self._next() for _ in range(count)]
        self.told += found
        return [told.subject for told in found]


@asynccontextmanager
async def over(url: str, database: str) -> AsyncIterator[tuple[EventLog, Streams]]:
    log = open_log(url, database, SystemClock(), "test")
    await log.start()
    means = Means(log, Positions(b"k" * 32), no_imports, SystemClock(), "test", 600)
    streams = Streams(means, Limits(10, 10))
    yield log, streams
    await streams.stop()
    await log.stop()


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> StreamTopic:
    """One of the test's own, streamed as deals."""
    topic = replace(STREAMED["deals"], topic=f"{DEALS}.{secrets.token_hex(4)}")
    monkeypatch.setattr("services.reporting.app.streams.STREAMED", {"deals": topic})
    return topic


@pytest.mark.postgres
async def test_over_the_embedded_log(database_url: str, topic: StreamTopic) -> None:
    async with over("postgres+log://", database_url) as (log, streams):
        await live_then_resumed(log, streams, topic)


@pytest.mark.kafka
async def test_over_kafka(kafka_server: str, topic: StreamTopic) -> None:
    async with over(f"kafka://{kafka_server}", "") as (log, streams):
        await live_then_resumed(log, streams, topic)


async def live_then_resumed(log: EventLog, streams: Streams, topic: StreamTopic) -> None:
    async def tell(*subjects: str) -> None:
        for tenant in ("theirs", "mine"):
            await log.append(topic.topic, [new_record(tenant, subject) for subject in subjects])

    await log.create_topics([TopicConfig(topic.topic, 3)])
    await tell("D-before")
    async with Reader(streams, topic) as first:
        await tell(*NAMES[:10])
        seen = [*await first.subjects(6)]
    await tell(*NAMES[10:20])
    async with Reader(streams, topic, first.told[-1].id) as second:
        seen += await second.subjects(14)
        await tell(*NAMES[20:])
        seen += await second.subjects(10)
    assert sorted(seen) == sorted(NAMES)
