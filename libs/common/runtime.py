"""A service as a value, and how a process runs one until it is told to stop."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi import APIRouter

from libs.common.clock import Clock
from libs.common.eventlog.port import EventLog
from libs.common.ids import derived_key
from libs.common.settings import CommonSettings

Check = Callable[[], Awaitable[str | None]]
"""A readiness check: `None` when fine, else what is wrong."""


STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Worker(Protocol):
    """A long-running loop. `run` returns soon after `stop` is set, at a record boundary."""

    name: str

    async def run(self, stop: asyncio.Event) -> None: ...


@dataclass(frozen=True, slots=True)
class Resources:
    """What an entrypoint has opened and every `bootstrap.build(resources)` builds upon.

    `database_url` is resolved (never empty); `process_id` is unique among running processes.
    """

    clock: Clock
    settings: CommonSettings
    database_url: str
    log: EventLog
    secret_key: bytes
    process_id: str

    def key_for(self, purpose: str) -> bytes:
        """An independent key of 32 bytes for one purpose, such as `api-keys` or `cursors`."""
        return derived_key(self.secret_key, purpose)


@dataclass(frozen=True, slots=True)
class Service:
    """What `bootstrap.build` returns. `state` becomes `app.state.<name>`."""

    name: str
    state: Any
    routers: Sequence[APIRouter] = ()
    workers: Sequence[Worker] = ()
    readiness: Mapping[str, Check] = field(default_factory=dict)
    warnings: Mapping[str, Check] = field(default_factory=dict)
    """What `/readyz` tells of, although the service can do its work without it."""
    start: Callable[[], Awaitable[None]] | None = None
    stop: Callable[[], Awaitable[None]] | None = None


@asynccontextmanager
async def opened(services: Sequence[Service]) -> AsyncIterator[None]:
    """Start services in order; stop those that started, in reverse."""
    async with contextlib.AsyncExitStack() as stack:
        for service in services:
            if service.start is not None:
                await service.start()
            if service.stop is not None:
                stack.push_async_callback(service.stop)
        yield


async def run_workers(workers: Sequence[Worker], stop: asyncio.Event) -> None:
    """Run all workers until `stop`; the first one that fails stops the others and raises."""
    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.run(stop), name=worker.name)


def stop_on_signals(
    stop: asyncio.Event,
    stopping: Callable[[], object] | None = None,
    again: Callable[[], object] | None = None,
) -> None:
    """SIGTERM, SIGINT and SIGHUP set `stop` and call `stopping`; each later one calls `again`, or
    without it has its default effect. A SIGHUP that nohup ignores stays ignored."""
    loop, numbers, heard = asyncio.get_running_loop(), _heeded(), False

    def told() -> None:
        nonlocal heard
        if heard and again is not None:
            again()
            return
        heard = True
        if again is None:
            _by_default(loop, numbers)
        stop.set()
        if stopping is not None:
            stopping()

    for number in numbers:
        loop.add_signal_handler(number, told)


def _heeded() -> Sequence[signal.Signals]:
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [number for number in STOPPING if not (ignored and number == signal.SIGHUP)]


def _by_default(loop: asyncio.AbstractEventLoop, numbers: Sequence[signal.Signals]) -> None:
    for number in numbers:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
