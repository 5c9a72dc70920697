"""What deliveries bring besides events, kept now, or durably put by until the database is back.

A CRM that gets 503 sends again later, gives up, or bans us; none of them may lose a record because
PostgreSQL was away for a minute. Everything here may be kept twice: letters have ids from their
content, and a record to be read anew is listed once.
"""

import asyncio
from itertools import islice
from math import inf

import structlog

from libs.common import metrics
from libs.common.retry import Backoff
from services.ingest.app.adopting import adopt
from services.ingest.app.ports import (
    IndexUnavailable,
    Keeper,
    SpoolFull,
    SpoolStore,
    SpoolStores,
    Unkeepable,
)
from services.ingest.app.unkept import settle
from services.ingest.domain.frames import frame
from services.ingest.domain.put_aside import PutAside, packed
from services.ingest.settings import IngestSettings

MOST_WRITING = 32 * 1024 * 1024
"""Bytes that wait for a disk which is as silent as the database; more are refused, not held."""
_BATCH = 50
_log = structlog.get_logger(__name__)


class LaterKeeper:
    """A `PromptKeeper`: what the one behind it does not keep in time waits for it on disk."""

    def __init__(self, keeper: Keeper, stores: SpoolStores, settings: IngestSettings) -> None:
        self._keeper, self._stores, self._settings = keeper, stores, settings
        self._own: SpoolStore
        self._waiting = self._writing = 0
        self._turn, self._filled, self._stop = asyncio.Lock(), asyncio.Event(), asyncio.Event()
        self._tasks, self._writes = list[asyncio.Task[None]](), set[asyncio.Task[None]]()

    async def open(self) -> None:
        """Take a folder with what an earlier process left in it, and go on from there."""
        self._own = await asyncio.to_thread(self._stores.own)
        self._told(await asyncio.to_thread(_count, self._own))
        self._tasks = [asyncio.create_task(loop) for loop in (self._drain_own(), self._adopt())]

    async def close(self, seconds: float) -> None:
        """What still waits is found by the next start."""
        self._stop.set()
        self._filled.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            await asyncio.to_thread(self._own.close)

    async def keep(self, aside: PutAside, within: float = inf) -> None:
        """While others wait the database is not asked: who drains does so already. Nor is it where
        waiting for it would leave the disk too little of the time."""
        limits = self._settings
        patience = min(limits.index_deadline, within - limits.spool_deadline)
        if self._waiting or patience <= 0 or not await self._kept(aside, patience):
            await self._put_by(aside, min(limits.spool_deadline, within))

    async def _kept(self, aside: PutAside, patience: float) -> bool:
        try:
            async with asyncio.timeout(patience):
                await self._keeper.keep(aside)
        except (IndexUnavailable, Unkeepable, TimeoutError):
            return False  # whoever drains tells apart what never can be kept
        return True

    async def _put_by(self, aside: PutAside, patience: float) -> None:
        """The deadline ends the wait, not the write: what is durable late is kept all the same."""
        payload = frame(packed(aside))
        if self._writing and self._writing + len(payload) > MOST_WRITING:
            raise SpoolFull("the disk does not take what has to be put by")
        self._writing += len(payload)
        writing = asyncio.create_task(self._write(payload))
        self._writes.add(writing)
        writing.add_done_callback(lambda task: self._ended(task, len(payload)))
        async with asyncio.timeout(patience):
            await asyncio.shield(writing)

    def _ended(self, writing: asyncio.Task[None], size: int) -> None:
        self._writes.discard(writing)
        self._writing -= size
        if not writing.cancelled():
            writing.exception()  # who still waits for it is told; nobody else needs to be

    async def _write(self, payload: bytes) -> None:
        async with self._turn:
            await asyncio.to_thread(self._own.append, [payload])
            self._told(self._waiting + 1)

    def _told(self, waiting: int) -> None:
        self._waiting = waiting
        metrics.PUT_ASIDE.set(waiting)
        if waiting:
            self._filled.set()
        else:
            self._filled.clear()

    async def _drain_own(self) -> None:
        while not self._stop.is_set():
            await self._filled.wait()
            await self._empty(self._own)

    async def _adopt(self) -> None:
        await adopt(self._stores, self._stop, self._settings.spool_look, self._take)

    async def _take(self, store: SpoolStore) -> None:
        await self._empty(store)
        await asyncio.to_thread(store.close)

    async def _empty(self, store: SpoolStore) -> None:
        """Until nothing is left, or a stop; whatever goes wrong, it stays and is tried again."""
        backoff = Backoff(self._settings.drain_first_pause, self._settings.drain_longest_pause)
        while not self._stop.is_set():
            try:
                if not await self._step(store):
                    return
                backoff.reset()
            except IndexUnavailable as error:
                _log.warning("put_aside_waits", waiting=self._waiting, error=error)
                await backoff.pause(self._stop)
            except Exception:  # noqa: BLE001  # told loudly, and nothing is lost by trying again
                _log.exception("put_aside_stuck", waiting=self._waiting)
                await backoff.pause(self._stop)

    async def _step(self, store: SpoolStore) -> int:
        """How many of the oldest that wait it has settled."""
        found = await asyncio.to_thread(lambda: list(islice(store.frames(), _BATCH)))
        for place, payload in found:
            await settle(self._keeper, store, place, payload)
        if found:
            await asyncio.to_thread(store.drop, found[-1][0])
        if store is self._own:
            await self._recount(len(found))
        return len(found)

    async def _recount(self, kept: int) -> None:
        """Nothing found means that nothing waits, whatever became of damaged frames."""
        async with self._turn:
            left = max(0, self._waiting - kept)
            self._told(left if kept else await asyncio.to_thread(_count, self._own))


def _count(store: SpoolStore) -> int:
    return sum(1 for _ in store.frames())
