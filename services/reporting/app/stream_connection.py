"""One client's stream, from its first line to its last."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from libs.common import metrics
from libs.common.db.errors import is_transient
from libs.common.eventlog.port import LogError, LogUnavailable
from services.reporting.app.stream_inbox import Inbox
from services.reporting.app.stream_means import Means
from services.reporting.app.stream_replay import Stretch
from services.reporting.domain.stream import Event, Reason, comment, opening, resync, told
from services.reporting.domain.stream_position import Place, Position

HEARTBEAT = 15.0
CHECK = 5.0
"""Seconds between looks at the credential and at the imports."""
REPLAYED_WITHIN = 60.0
"""Seconds for a client to take what it missed: it holds one of the few places for that."""
Allowed = Callable[[], Awaitable[bool]]
"""Whether the client's credential still covers the stream."""


class Stream:
    """What goes over the wire is in `chunks`. `now` tells how far a topic has been handed out.

    `missing` says why a client that resumes has to read everything anew; else `missed` is replayed.
    """

    def __init__(
        self,
        means: Means,
        tenant_id: str,
        allowed: Allowed,
        inbox: Inbox,
        now: Callable[[], Mapping[str, Place]],
        position: Position,
        missed: Sequence[Stretch],
        missing: Reason | None,
    ) -> None:
        self._means, self._tenant_id, self._allowed = means, tenant_id, allowed
        self.inbox, self._now, self._position = inbox, now, position
        self._missed, self._missing = missed, missing
        self._seconds = means.clock.monotonic
        self._began_at = self._told_at = self._looked_at = self._seconds()
        self._over: str | None = None

    async def chunks(self) -> AsyncGenerator[str]:
        """Ends when the server stops, the credential fails, or its time is over."""
        yield opening(self._sealed)
        async with aclosing(self._replayed()) as replayed:
            async for chunk in replayed:
                yield chunk
        while not await self._is_over():
            for chunk in self._pending():
                yield chunk
            await self.inbox.wait(self._means.pulse)
        yield comment(f"{self._over}; come back with Last-Event-ID", self._sealed)

    @property
    def _sealed(self) -> str:
        return self._means.positions.seal(self._tenant_id, self._position)

    async def _is_over(self) -> bool:
        if self._over is None and self.inbox.closed:
            self._over = "the server stops"
        if self._over is None and self._seconds() - self._began_at >= self._means.lifetime:
            self._over = "a stream ends after a while"
        if self._over is None and self._is_due(self._looked_at, CHECK):
            self._looked_at = self._seconds()
            await self._look()
        return self._over is not None

    def _is_due(self, last: float, period: float) -> bool:
        return self._seconds() - last >= period

    async def _look(self) -> None:
        """At the credential, and at imports: they are not streamed, so their end has to be told."""
        if not await self._allowed():
            self._over = "the credential is no longer good"
            return
        try:
            ended = await self._means.imports(self._tenant_id, self._position.places)
        except Exception as error:
            if not is_transient(error):
                raise
            return  # the next look will tell
        if ended != self._position.imports:
            self._position, self._missing = replace(self._position, imports=ended), "import"

    def _pending(self) -> Iterator[str]:
        """What can be told at once, up to the next look."""
        if self._missing is not None:
            yield self._anew(self._missing)
        while not self._is_due(self._looked_at, CHECK) and (event := self.inbox.next()):
            if not self._position.passed(event):
                yield self._event(event)
        if self.inbox.lost is not None:
            yield self._anew(self.inbox.lost)
        if self._is_due(self._told_at, HEARTBEAT):
            self._catch_up()
            yield self._heartbeat()

    def _event(self, event: Event) -> str:
        self._told_at, self._position = self._seconds(), self._position.after(event)
        metrics.STREAM_EVENTS.labels(event.topic).inc()
        return told(event, self._sealed)

    def _anew(self, reason: Reason) -> str:
        """Whatever was lost is behind the client once it has read the state."""
        self._told_at, self._missing, self.inbox.lost = self._seconds(), None, None
        self._catch_up()
        metrics.STREAM_RESYNCS.labels(reason).inc()
        return resync(reason, self._sealed)

    def _heartbeat(self) -> str:
        self._told_at = self._seconds()
        return comment("heartbeat", self._sealed)

    def _catch_up(self) -> None:
        """Nothing waits: then everything that the tails have passed was told, or not ours."""
        if self.inbox.is_empty:
            places = self._position.places
            latest = {name: places[name].latest(now) for name, now in self._now().items()}
            self._position = replace(self._position, places=latest)

    async def _replayed(self) -> AsyncGenerator[str]:
        """What was missed, in the order of each partition; heartbeats while others go first."""
        if not self._missed:
            return
        while self._means.replays.locked() and not await self._is_over():
            if self._is_due(self._told_at, HEARTBEAT):
                yield self._heartbeat()
            await asyncio.sleep(self._means.pulse)
        async with self._means.replays, aclosing(self._again()) as again:
            async for chunk in again:
                yield chunk

    async def _again(self) -> AsyncGenerator[str]:
        try:
            for stretch in self._missed:
                found = stretch.events(self._means.log, self._means.member, self._tenant_id)
                async with aclosing(found) as events:
                    async for event in events:
                        if await self._is_given_up():
                            return
                        if event is not None and not self._position.passed(event):
                            yield self._event(event)
                        elif self._is_due(self._told_at, HEARTBEAT):
                            yield self._heartbeat()
        except LogUnavailable:
            self._over = "the log does not answer"
        except LogError:
            self.inbox.lose("history_gone")

    async def _is_given_up(self) -> bool:
        if self._is_due(self._began_at, REPLAYED_WITHIN):
            self.inbox.lose("slow_reader")
        return self.inbox.lost is not None or await self._is_over()
