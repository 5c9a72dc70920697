"""Clients of streams behind a real server, and a hand on the log that the streams read."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import httpx
from prometheus_client import REGISTRY

from libs.common.contracts.topics import ALERT_EVENTS, DEALS
from libs.common.eventlog.memory_log import MemoryLog, MemoryReader
from libs.common.eventlog.port import Reader
from libs.common.web.serve import Port, listen, listening
from services.reporting.app.state import ReportingState
from services.reporting.app.stream_limits import Limits
from tests.integration.reporting.conftest import Reporting
from tests.unit.reporting.records import new_record

PATIENCE = 30.0
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass
class Told:
    """One block of the wire: an event, or only comments and an id."""

    id: str | None = None
    event: str | None = None
    data: str | None = None
    comment: str | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.data or "null")

    @property
    def subject(self) -> str:
        return str(self.json["subject"])


def parsed(lines: Sequence[str]) -> Told:
    told = Told()
    for line in lines:
        name, _, value = line.partition(": ")
        setattr(told, {"": "comment", "retry": "comment"}.get(name, name), value)
    return told


@dataclass
class Listener:
    """A client that has read what is in `told`."""

    response: httpx.Response
    lines: AsyncIterator[str]
    told: list[Told] = field(default_factory=list)

    async def next(self) -> Told:
        """The next block; `StopAsyncIteration` at the end of the stream."""
        block: list[str] = []
        async with asyncio.timeout(PATIENCE):
            while line := await anext(self.lines):
                block.append(line)
        self.told.append(parsed(block))
        return self.told[-1]

    async def until(self, good: Callable[[Told], bool]) -> Told:
        while not good(told := await self.next()):
            pass
        return told

    async def event(self) -> Told:
        """The next block that is an event."""
        return await self.until(lambda told: told.event is not None)

    async def subjects(self, count: int) -> list[str]:
        return [(await self.event()).subject for _ in range(count)]

    async def rest(self) -> list[Told]:
        """Everything up to the end that the server makes."""
        try:
            while True:
                await self.next()
        except StopAsyncIteration:
            return self.told

    @property
    def last_id(self) -> str:
        return [told.id for told in self.told if told.id is not None][-1]


@dataclass
class Station:
    """The service on a port of its own, with streams that look at the clock often."""

    reporting: Reporting
    port: Port
    readers: list[Reader]
    """Those of the log that were opened and not stopped."""

    @property
    def state(self) -> ReportingState:
        state: ReportingState = self.reporting.app.state.reporting
        return state

    @property
    def log(self) -> MemoryLog:
        log = self.state.streams.means.log
        assert isinstance(log, MemoryLog)
        return log

    @asynccontextmanager
    async def listen(
        self,
        tenant: str,
        topics: str = "deals",
        *,
        key: str | None = None,
        since: str | None = None,
    ) -> AsyncIterator[Listener]:
        headers = {b"Authorization": f"Bearer {key or self.reporting.keys[tenant]}".encode()}
        if since is not None:
            headers[b"Last-Event-ID"] = since.encode("latin-1")
        async with (
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{self.port.number}", timeout=PATIENCE
            ) as client,
            client.stream("GET", "/v1/stream", params={"topics": topics}, headers=headers) as got,
        ):
            if got.status_code != 200:
                await got.aread()
            yield Listener(got, got.aiter_lines())

    async def refusal(self, tenant: str, topics: str = "deals", **more: Any) -> httpx.Response:
        async with self.listen(tenant, topics, **more) as listener:
            assert listener.response.status_code != 200
            return listener.response

    async def tell(self, tenant: str, *subjects: str, topic: str = DEALS, **how: Any) -> None:
        if topic == ALERT_EVENTS:
            how.setdefault("type_", "alert.fired")
        await self.log.append(topic, [new_record(tenant, s, **how) for s in subjects])

    def limit(self, limits: Limits) -> None:
        """From now on so many streams; none may be open."""
        streams = replace(self.state.streams, limits=limits)
        self.reporting.app.state.reporting = replace(self.state, streams=streams)

    async def until_open(self, count: int) -> None:
        """Until the server has noticed who left."""
        await until(lambda: REGISTRY.get_sample_value("headway_streams_open") == count)

    def pass_by(self, seconds: float) -> None:
        self.reporting.clock.advance(timedelta(seconds=seconds))


@asynccontextmanager
async def on_air(reporting: Reporting, **means: Any) -> AsyncIterator[Station]:
    state: ReportingState = reporting.app.state.reporting
    quick = replace(state.streams.means, **{"pulse": 0.02, **means})
    reporting.app.state.reporting = replace(state, streams=replace(state.streams, means=quick))
    log = quick.log
    assert isinstance(log, MemoryLog)
    readers = counted(log)
    async with listening(reporting.app, listen("127.0.0.1", 0), asyncio.Event()) as port:
        yield Station(reporting, port, readers)


def counted(log: MemoryLog) -> list[Reader]:
    """The readers of `log` that are open, kept up to date."""
    opened: list[Reader] = []
    make = log.reader

    def reader(topics: Sequence[str], group: str | None, member: str) -> MemoryReader:
        made = make(topics, group, member)
        stop = made.stop

        async def stopped() -> None:
            opened.remove(made)
            await stop()

        made.stop = stopped  # type: ignore[method-assign]
        opened.append(made)
        return made

    log.reader = reader  # type: ignore[method-assign]
    return opened


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.01)
