"""Opens streams: within limits, from the end of the topics or from where a client left."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import get_args

from libs.common import metrics
from services.reporting.app.stream_connection import Allowed, Stream
from services.reporting.app.stream_inbox import Inbox
from services.reporting.app.stream_limits import Limits
from services.reporting.app.stream_means import Means
from services.reporting.app.stream_replay import Stretch
from services.reporting.app.stream_tail import Tail
from services.reporting.domain.stream import STREAMED, Reason, StreamTopic
from services.reporting.domain.stream_position import Place, Position, continued

Topics = Sequence[StreamTopic]


@dataclass(frozen=True, slots=True)
class Asked:
    """A client's wish: its tenant, its topics, and what it gave as `Last-Event-ID`."""

    tenant_id: str
    topics: Topics
    last_event_id: str | None
    allowed: Allowed


@dataclass(frozen=True, slots=True)
class Streams:
    """All streams of a process, over one tail for each topic."""

    means: Means
    limits: Limits
    _tails: dict[str, Tail] = field(default_factory=dict)

    @asynccontextmanager
    async def opened(self, asked: Asked) -> AsyncIterator[Stream]:
        """A stream that may begin; it counts, and its inbox fills, until the block is left.

        Raises `BadPosition`, `TenantIsFull`, `ProcessIsFull`, and `LogError` or the database's
        errors where no beginning can be found.
        """
        since = self._given(asked)
        with self.limits.admitted(asked.tenant_id):
            names = [topic.name for topic in asked.topics]  # before the tails: told twice at worst
            ended = await self.means.imports(asked.tenant_id, names)
            inbox = Inbox()
            try:
                places = {t.name: await self._tail(t).join(asked.tenant_id, inbox)
                          for t in asked.topics}  # fmt: skip
                yield await self._stream(asked, inbox, since, Position(places, ended))
            finally:
                for topic in asked.topics:
                    self._tail(topic).leave(asked.tenant_id, inbox)

    async def stop(self) -> None:
        for tail in self._tails.values():
            await tail.stop()

    def _given(self, asked: Asked) -> Position | None:
        if not asked.last_event_id:
            return None
        names = [topic.name for topic in asked.topics]
        return self.means.positions.open(asked.tenant_id, names, asked.last_event_id)

    def _tail(self, topic: StreamTopic) -> Tail:
        if topic.name not in self._tails:
            means = self.means
            metrics.show_stream(topic.name, get_args(Reason))
            self._tails[topic.name] = Tail(means.log, topic, means.member, means.clock)
        return self._tails[topic.name]

    async def _stream(
        self, asked: Asked, inbox: Inbox, since: Position | None, now: Position
    ) -> Stream:
        begin = now if since is None else await self._resumed(since, now)
        missed = () if isinstance(begin, str) else _stretches(begin, now)
        missing = begin if isinstance(begin, str) else None
        position = now if isinstance(begin, str) else begin
        tails = {topic.name: self._tail(topic) for topic in asked.topics}
        return Stream(
            self.means, asked.tenant_id, asked.allowed, inbox,
            lambda: {name: tail.place for name, tail in tails.items()},
            position, missed, missing,
        )  # fmt: skip

    async def _resumed(self, since: Position, now: Position) -> Position | Reason:
        """Where to read on, or why everything has to be read anew."""
        if since.imports != now.imports:
            return "import"
        places: dict[str, Place] = {}
        for name, place in now.places.items():
            ends = await self.means.log.ends(STREAMED[name].topic)
            found = continued(since.places[name], place, ends)
            if isinstance(found, str):
                return found
            places[name] = found
        return Position(places, now.imports)


def _stretches(since: Position, now: Position) -> Sequence[Stretch]:
    stretches = (
        Stretch(STREAMED[name], since.places[name], place) for name, place in now.places.items()
    )
    return [stretch for stretch in stretches if not stretch.is_empty]
