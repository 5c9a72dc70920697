"""The load: connections that each send a request, read the answer, and send the next one.

A process of its own, `python -m tests.bench.ingest.client <task as JSON>`, which prints what came
of it as JSON. It knows so little of HTTP that it costs a fraction of what any server does.
"""

import asyncio
import gc
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from time import perf_counter, process_time
from typing import cast

import orjson
import uvloop

from tests.bench.ingest.answering import Inbox, header, status_of
from tests.bench.ingest.requests import stock, templates

_ACCEPTED, _AGAIN = b'"accepted":', (429, 503)


@dataclass(frozen=True, slots=True)
class Task:
    """What to send where. `run` differs from load to load, so that no event repeats another."""

    port: int
    path: str
    size: int
    run: int
    seconds: float
    warm_up: float
    connections: int = 256
    key: str = ""


@dataclass
class Outcome:
    """`requests` and `events` were answered with 202 in the time that counts; `accepted` are all
    events that were, before and after it too. `again` were asked to come again, and did,
    even after it: what was refused may be in the log, so only then do both counts agree."""

    seconds: float = 0.0
    requests: int = 0
    events: int = 0
    accepted: int = 0
    again: int = 0
    busy: float = 0.0
    """Share of a processor that this client took."""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    refused: dict[str, int] = field(default_factory=dict)


@dataclass
class Load:
    """One run of the load. It counts from `begins` to `ends`; what is under way then is awaited."""

    supply: Iterator[tuple[bytes, int]]
    outcome: Outcome = field(default_factory=Outcome)
    begins: float = float("inf")
    ends: float = float("inf")
    waits: list[float] = field(default_factory=list)

    def accepted(self, events: int, sent: float) -> None:
        now = perf_counter()
        self.outcome.accepted += events
        if self.begins <= now < self.ends:
            self.outcome.requests += 1
            self.outcome.events += events
            self.waits.append(now - sent)

    def refused(self, status: int) -> None:
        told = self.outcome.refused
        told[str(status)] = told.get(str(status), 0) + 1

    @property
    def over(self) -> bool:
        return perf_counter() >= self.ends


class Connection(asyncio.Protocol):
    """`done` is set when it has sent its last request and read the answer."""

    def __init__(self, load: Load) -> None:
        self._load, self._inbox = load, Inbox()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._inbox.feed(data)
        if (answer := self._inbox.take()) is not None:
            self._judge(*answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed a connection"))

    def _next(self) -> None:
        if self._load.over:
            self.done.set_result(None)
            self._transport.close()
            return
        self._request, self._events = next(self._load.supply)
        self._send()

    def _send(self) -> None:
        self._sent = perf_counter()
        self._transport.write(self._request)

    def _judge(self, head: bytes, body: bytes) -> None:
        status = status_of(head)
        if status in _AGAIN:
            self._load.outcome.again += 1
            pause = float(header(head, b"retry-after:") or 1)
            asyncio.get_running_loop().call_later(pause, self._send)
            return
        if status == 202:
            self._load.accepted(accepted(body, self._events), self._sent)
        else:
            self._load.refused(status)
        self._next()


def accepted(body: bytes, sent: int) -> int:
    """How many the answer counts; all that were sent where it does not count."""
    found = body.find(_ACCEPTED)
    if found < 0:
        return sent
    start = found + len(_ACCEPTED)
    end = min(end for end in (body.find(b",", start), body.find(b"}", start)) if end > 0)
    return int(body[start:end])


async def run(task: Task) -> Outcome:
    headers = {"Authorization": f"Bearer {task.key}"} if task.key else {}
    load = Load(stock(templates(task.path, task.size, headers), task.run))
    loop = asyncio.get_running_loop()
    gc.freeze()
    made = [
        (await loop.create_connection(lambda: Connection(load), "127.0.0.1", task.port))[1]
        for _ in range(task.connections)
    ]
    await asyncio.sleep(task.warm_up)
    cpu, load.begins = process_time(), perf_counter()
    load.ends = load.begins + task.seconds
    await asyncio.sleep(task.seconds)
    load.outcome.busy = round((process_time() - cpu) / task.seconds, 3)
    await asyncio.gather(*(connection.done for connection in made))
    return _told(load, task.seconds)


def _told(load: Load, seconds: float) -> Outcome:
    waits, outcome = sorted(load.waits), load.outcome
    outcome.seconds = seconds
    if waits:
        outcome.p50_ms, outcome.p99_ms = (
            round(waits[int(len(waits) * share)] * 1000, 1) for share in (0.5, 0.99)
        )
    return outcome


if __name__ == "__main__":
    sys.stdout.write(
        orjson.dumps(asdict(uvloop.run(run(Task(**orjson.loads(sys.argv[1])))))).decode()
    )
