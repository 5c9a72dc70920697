"""One reader of a topic for all connections of a process, from the first of them on."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from contextvars import Context

import structlog

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.eventlog.port import (
    Assigned,
    EventLog,
    LogError,
    OffsetOutOfRange,
    Partition,
    Reader,
    Record,
    TopicChanged,
)
from libs.common.retry import Backoff
from services.reporting.app.stream_audience import Audience
from services.reporting.app.stream_inbox import Inbox
from services.reporting.domain.stream import StreamTopic
from services.reporting.domain.stream_position import Place

BATCH, WAIT = 500, 1.0
LINGER = 60.0
"""Seconds that it reads on without a connection: clients come back."""
GROWTH = 30.0
"""Seconds between looks for partitions that were added."""
_log = structlog.get_logger()


class Tail:
    """Reads from the end on, hands each tenant's events to its inboxes, and knows its place.

    A log that is away is waited for. What retention or a new topic took makes all inboxes lose.
    """

    def __init__(self, log: EventLog, topic: StreamTopic, member: str, clock: Clock) -> None:
        self._log, self._topic, self._member, self._clock = log, topic, member, clock
        self._topic_id, self._offsets = "", list[int]()
        self._audience = Audience(topic.name)
        self._opening = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._read_at = self._needed_at = self._looked_at = 0.0
        self._backoff, self._stopping = Backoff(0.1, 5), False

    @property
    def place(self) -> Place:
        """Everything before it has been handed out."""
        return Place(self._topic_id, tuple(self._offsets))

    async def join(self, tenant_id: str, inbox: Inbox) -> Place:
        """From the returned place on, the tenant's events come to `inbox`; raises `LogError`."""
        async with self._opening:
            if self._reading is None or self._reading.done():
                await self._begin_at_end()
                self._read_at = self._needed_at = self._looked_at = self._clock.monotonic()
                self._reading = self._begun()
            self._audience.add(tenant_id, inbox)
            return self.place

    def _begun(self) -> asyncio.Task[None]:
        """Its log lines belong to no request."""
        name = f"tail-{self._topic.name}"
        return asyncio.create_task(self._run(), name=name, context=Context())

    def leave(self, tenant_id: str, inbox: Inbox) -> None:
        self._audience.remove(tenant_id, inbox)

    async def stop(self) -> None:
        self._stopping = True
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading

    async def _begin_at_end(self) -> None:
        topic_id = await self._log.topic_id(self._topic.topic)
        ends = await self._log.ends(self._topic.topic)
        self._topic_id, self._offsets = topic_id, [end.end for _, end in sorted(ends.items())]

    async def _run(self) -> None:
        while self._is_needed():
            try:
                await self._follow()
            except asyncio.CancelledError:
                if self._stopping:
                    raise
                await self._pause("a client of the log was cancelled")
            except (OffsetOutOfRange, TopicChanged) as error:
                await self._start_over(error)
            except LogError as error:
                await self._pause(error)
            except Exception as error:  # noqa: BLE001  # clients wait: it must not end
                _log.exception("tail_failed", topic=self._topic.topic)
                await self._pause(error)

    def _is_needed(self) -> bool:
        now = self._clock.monotonic()
        if self._audience:
            self._needed_at = now
        return now - self._needed_at < LINGER

    async def _follow(self) -> None:
        """Read until nobody listens any more, or until the topic has grown."""
        if await self._log.topic_id(self._topic.topic) != self._topic_id:
            raise TopicChanged(self._topic.topic)
        reader = self._log.reader([self._topic.topic], None, self._member)
        try:
            await reader.start(self._assigned_to(reader), _nothing)
            while self._is_needed() and not await self._has_grown():
                self._hand_out(await reader.read(BATCH, WAIT))
        finally:
            await reader.stop()

    def _assigned_to(self, reader: Reader) -> Assigned:
        async def assigned(partitions: Collection[Partition]) -> None:
            for partition in partitions:
                grown = partition.number + 1 - len(self._offsets)
                self._offsets += [0] * max(0, grown)  # added since: everything in it is new
                reader.seek(partition, self._offsets[partition.number])

        return assigned

    async def _has_grown(self) -> bool:
        now = self._clock.monotonic()
        if now - self._looked_at < GROWTH:
            return False
        self._looked_at = now
        return len(await self._log.ends(self._topic.topic)) > len(self._offsets)

    def _hand_out(self, records: Collection[Record]) -> None:
        self._backoff.reset()
        self._read_at = self._clock.monotonic()
        for record in records:
            if record.offset >= self._offsets[record.partition]:  # a repeat is passed over
                self._audience.hand(record)
                self._offsets[record.partition] = record.offset + 1
        behind = max((self._clock.now() - r.appended_at for r in records), default=None)
        seconds = 0.0 if behind is None else max(0.0, behind.total_seconds())
        metrics.STREAM_LAG_SECONDS.labels(self._topic.name).set(seconds)

    async def _start_over(self, why: LogError) -> None:
        """Go on from the end; what is between is lost to everybody."""
        _log.warning("tail_starts_over", topic=self._topic.topic, error=why)
        try:
            await self._begin_at_end()
        except LogError as error:
            return await self._pause(error)
        self._audience.lose("history_gone")
        return None

    async def _pause(self, why: str | Exception) -> None:
        away = self._clock.monotonic() - self._read_at
        metrics.STREAM_LAG_SECONDS.labels(self._topic.name).set(away)
        _log.warning("tail_waits_for_the_log", topic=self._topic.topic, error=why)
        await asyncio.sleep(self._backoff.delay())


async def _nothing(_: Collection[Partition]) -> None:
    return None
