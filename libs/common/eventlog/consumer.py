"""A consumer as a worker: first the topics that it reads and writes, then the loop."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.contracts.topics import TOPICS
from libs.common.eventlog.dead_letter import Buried
from libs.common.eventlog.loop import ConsumerLoop, Handler
from libs.common.eventlog.loop_errors import waits
from libs.common.eventlog.port import EventLog, Record, TopicConfig
from libs.common.retry import Backoff

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Announcing:
    """A handler whose commits wake the workers that go on with what it wrote."""

    handler: Handler
    wake: Sequence[Callable[[], None]]

    async def handle(self, tx: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
        return await self.handler.handle(tx, records)

    async def committed(self) -> None:
        for wake in self.wake:
            wake()


class Consumer:
    """A `Worker`: the loop, once the topics that it reads and writes are there."""

    def __init__(
        self, loop: ConsumerLoop, log: EventLog, topics: Sequence[str], partitions: int
    ) -> None:
        self.name = loop.name
        self._loop, self._log = loop, log
        self._needed, self._partitions = topics, partitions
        self._running = False

    async def check(self) -> str | None:
        """A readiness check: does the loop turn, if this process runs it at all?"""
        return await self._loop.check() if self._running else None

    async def run(self, stop: asyncio.Event) -> None:
        await self._topics(stop)
        self._running = True
        await self._loop.run(stop)

    async def _topics(self, stop: asyncio.Event) -> None:
        """Make the topics that are missing, as soon as the log answers."""
        backoff = Backoff(0.1, 5)
        while not stop.is_set():
            try:
                return await self._log.create_topics([self._config(name) for name in self._needed])
            except Exception as error:
                if not waits(error):
                    raise
                _log.warning("log_awaited", error=error)
                await backoff.pause(stop)
        return None

    def _config(self, name: str) -> TopicConfig:
        topic = TOPICS[name]
        return TopicConfig(
            name, self._partitions, topic.retention_days, compact=topic.cleanup == "compact"
        )
