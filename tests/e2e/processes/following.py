"""A reader that follows a topic while things happen to those who write it."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, Self

from aiokafka import AIOKafkaConsumer

from tests.e2e.processes import topics
from tests.e2e.processes.topics import Kept


class Following(threading.Thread):
    """Reads a topic from its end of now on, and at the block's end to its end of then."""

    def __init__(self, server: str, topic: str) -> None:
        super().__init__(name=f"following-{topic}", daemon=True)
        self._server, self._topic = server, topic
        self._since = asyncio.run(topics.ends(server, topic))
        self._over = threading.Event()
        self._read: list[Kept] = []
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(120)
        assert not self.is_alive(), "the reader hangs"

    def read(self) -> Sequence[Kept]:
        """In the order of reading: within each partition that of the log."""
        assert self._failure is None, repr(self._failure)
        return self._read

    def run(self) -> None:
        try:
            asyncio.run(self._follow())
        except Exception as error:  # noqa: BLE001  told by the test, in its own thread
            self._failure = error

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._server, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign(list(self._since))
            for place, end in self._since.items():
                consumer.seek(place, end)
            while not self._over.is_set():
                await self._take(consumer)
            await self._to_the_end(consumer)
        finally:
            await consumer.stop()

    async def _to_the_end(self, consumer: AIOKafkaConsumer) -> None:
        ends = await topics.ends(self._server, self._topic)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            await self._take(consumer)

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        for batch in (await consumer.getmany(timeout_ms=200)).values():
            self._read += map(_kept, batch)


def _kept(record: Any) -> Kept:
    headers = tuple(record.headers)
    return Kept(record.partition, record.offset, record.key, record.value, headers)
