"""Workers that repeat a step: each step is one short transaction, and tells if there is more."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from libs.common.clock import Clock
from libs.common.db.database import Database
from libs.common.db.leases import Lease
from libs.common.eventlog.heartbeat import Heartbeat
from libs.common.eventlog.loop_errors import waits
from libs.common.eventlog.port import UnknownTopic
from libs.common.retry import Backoff

Step = Callable[[], Awaitable[bool]]
LONGEST_WAIT = 5.0
SILENT = 60.0
"""Seconds without a turn from which on a worker is not ready."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Exclusive:
    """A step that only the holder of a lease takes."""

    step: Step
    database: Database
    lease: Lease

    async def __call__(self) -> bool:
        async with self.database.across_tenants() as tx:
            token = await self.lease.hold(tx)
        return token is not None and await self.step()

    async def release(self) -> None:
        """Let another process begin at once."""
        async with self.database.across_tenants() as tx:
            await self.lease.release(tx)


class Stepper:
    """A `Worker` that takes steps while there are any, then rests for `poll` s or until woken.

    What the infrastructure fails at is tried again; any other error ends the process.
    """

    def __init__(self, name: str, step: Step | Exclusive, poll: float, clock: Clock) -> None:
        self.name = name
        self._step, self._poll, self._clock = step, poll, clock
        self._woken = asyncio.Event()
        self._heartbeat: Heartbeat | None = None

    def wake(self) -> None:
        """Look at once: there may be something to do."""
        self._woken.set()

    async def check(self) -> str | None:
        """A readiness check: does it turn, if this process runs it at all?"""
        return await self._heartbeat.check() if self._heartbeat else None

    async def run(self, stop: asyncio.Event) -> None:
        self._heartbeat, backoff = Heartbeat(self._clock, SILENT), Backoff(0.1, LONGEST_WAIT)
        while not stop.is_set():
            self._heartbeat.beat()
            try:
                if not await self._step():
                    await self._rest(stop)
                backoff.reset()
            except Exception as error:
                if not _mends(error):
                    _log.error("worker_stopped", worker=self.name, error=error)
                    raise
                _log.warning("worker_waits", worker=self.name, error=error)
                await backoff.pause(stop)
        await self._release()

    async def _rest(self, stop: asyncio.Event) -> None:
        waiting = [asyncio.create_task(event.wait()) for event in (stop, self._woken)]
        try:
            await asyncio.wait(waiting, timeout=self._poll, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            self._woken.clear()

    async def _release(self) -> None:
        if isinstance(self._step, Exclusive):
            try:
                await self._step.release()
            except Exception as error:
                if not _mends(error):
                    raise
                _log.info("lease_not_released", worker=self.name, error=error)


def _mends(error: Exception) -> bool:
    """Whether waiting may help: for the infrastructure, and for topics still to be made."""
    return waits(error) or isinstance(error, UnknownTopic)
