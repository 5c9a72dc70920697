"""What a client missed: read again by a reader of its own, up to where its inbox begins."""

from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass

from libs.common.eventlog.port import EventLog, Partition, Reader, Record
from services.reporting.app.stream_audience import readable
from services.reporting.domain.stream import Event, StreamTopic, tenant_of
from services.reporting.domain.stream_position import Place

BATCH, WAIT = 500, 1.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """The records of one topic from `since` to before `until`."""

    topic: StreamTopic
    since: Place
    until: Place

    @property
    def is_empty(self) -> bool:
        return all(self._is_done(n, at) for n, at in enumerate(self.since.offsets))

    def _is_done(self, partition: int, at: int) -> bool:
        return at >= self.until.at(partition)

    async def events(
        self, log: EventLog, member: str, tenant_id: str
    ) -> AsyncGenerator[Event | None]:
        """The tenant's events, and `None` after each read; raises `LogError`.

        Some of them may lie beyond `until`, where the caller's inbox has them too.
        """
        at = list(self.since.offsets)
        reader = log.reader([self.topic.topic], None, member)
        try:
            await self._start(reader)
            while not all(self._is_done(n, offset) for n, offset in enumerate(at)):
                for record in await reader.read(BATCH, WAIT):
                    event = self._event(record, tenant_id)
                    at[record.partition] = max(at[record.partition], record.offset + 1)
                    if event is not None:
                        yield event
                yield None
        finally:
            await reader.stop()

    async def _start(self, reader: Reader) -> None:
        async def assigned(partitions: Collection[Partition]) -> None:
            for partition in partitions:
                reader.seek(partition, self.since.at(partition.number))

        await reader.start(assigned, _nothing)

    def _event(self, record: Record, tenant_id: str) -> Event | None:
        return readable(record, self.topic.name) if tenant_of(record) == tenant_id else None


async def _nothing(_: Collection[Partition]) -> None:
    return None
