"""The spools of a process: its own, and those that it drains for processes that are gone."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.retry import pause
from services.ingest.app.adopting import adopt
from services.ingest.app.draining import Drainer
from services.ingest.app.ports import SpoolStore, SpoolStores
from services.ingest.app.spool import Spool
from services.ingest.settings import IngestSettings

_log = structlog.get_logger(__name__)


class Spools:
    """`own` is written to; the others come from folders that nobody holds, and go when empty."""

    def __init__(
        self,
        stores: SpoolStores,
        drainer: Callable[[Spool], Drainer],
        clock: Clock,
        settings: IngestSettings,
    ) -> None:
        self._stores, self._drainer = stores, drainer
        self._clock, self._settings = clock, settings
        self._held: list[Spool] = []
        self._stop, self._tasks = asyncio.Event(), list[asyncio.Task[None]]()

    @property
    def own(self) -> Spool:
        return self._held[0]

    @property
    def names(self) -> Sequence[str]:
        return [spool.name for spool in self._held]

    def oldest(self) -> datetime | None:
        """The earliest receipt that waits in any of them."""
        return min((s.oldest for s in self._held if s.oldest is not None), default=None)

    async def open(self) -> None:
        """Take a folder and what is left in it; from now on it is drained."""
        await self._hold(await asyncio.to_thread(self._stores.own))
        loops = (self._drainer(self.own).run(self._stop), self._adopt(), self._measure())
        self._tasks = [asyncio.create_task(loop, name="spool") for loop in loops]

    async def close(self, seconds: float) -> None:
        """What is not drained within the time stays for the next start."""
        self._stop.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for spool in self._held:
            await spool.close(seconds)

    async def _hold(self, store: SpoolStore) -> Spool:
        spool = Spool(store, self._clock, self._settings)
        await spool.recount()
        self._held.append(spool)
        if len(spool):
            _log.warning("spool_left_over", events=len(spool), oldest=str(spool.oldest))
        return spool

    async def _adopt(self) -> None:
        await adopt(self._stores, self._stop, self._settings.spool_look, self._take)

    async def _take(self, store: SpoolStore) -> None:
        """What is left at a stop is closed with all others."""
        spool = await self._hold(store)
        await self._drainer(spool).empty(self._stop)
        if not len(spool):
            self._held.remove(spool)
            await spool.close(1)

    async def _measure(self) -> None:
        while not self._stop.is_set():
            oldest = self.oldest()
            age = (self._clock.now() - oldest).total_seconds() if oldest else 0.0
            metrics.SPOOL_OLDEST_SECONDS.set(max(0.0, age))
            metrics.SPOOL_EVENTS.set(sum(map(len, self._held)))
            metrics.SPOOL_BYTES.set(sum(spool.size for spool in self._held))
            metrics.SPOOL_REFUSES.set(0 if self.own.refuses() is None else 1)
            await pause(self._stop, self._settings.heartbeat)
