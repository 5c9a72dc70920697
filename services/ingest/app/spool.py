"""The spool: where accepted events wait, durably, while the log does not take them.

Some go there although the log is well: one key in a hundred, so that the way is never untested, and
every key with frames that still wait, so that no event of a key overtakes another. The former do so
only while the spool is well too.
"""

import asyncio
import zlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice

from libs.common.clock import Clock
from services.ingest.app.grouped import Grouped
from services.ingest.app.log_state import LogState
from services.ingest.app.pending import Pending
from services.ingest.app.ports import Place, SpoolFull, SpoolStore
from services.ingest.app.underway import Underway
from services.ingest.domain.frames import framed, summary
from services.ingest.domain.model import Candidate
from services.ingest.settings import IngestSettings


class Spool:
    """Frames of one store. While its drainer goes on asking a log that is down, nobody else needs
    to."""

    def __init__(self, store: SpoolStore, clock: Clock, settings: IngestSettings) -> None:
        self._store, self._clock, self._settings = store, clock, settings
        self.name = store.name
        self._pending, self.underway = Pending(), Underway()
        self._turn, self._writing = asyncio.Lock(), set[asyncio.Task[None]]()
        self._failure: str | None = None
        self._rests_until = float("-inf")
        self.log = LogState(clock)
        self.filled = asyncio.Event()
        """Set while there is something to drain."""
        self._writes = Grouped(
            self._write,
            lambda error: isinstance(error, SpoolFull | TimeoutError),
            max_waiting=settings.max_waiting,
            max_group=settings.max_group,
            limit=settings.spool_deadline,
        )

    async def recount(self) -> None:
        """Count what is there: what an earlier process left, or all but what became damaged."""
        async with self._turn:
            pending = Pending()
            for entry in await asyncio.to_thread(self._left):
                pending.add(*entry)
            self._pending = pending
            self._tell()

    def _left(self) -> list[tuple[bytes, datetime]]:
        return [summary(payload) for _, payload in self._store.frames()]

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def oldest(self) -> datetime | None:
        """The earliest receipt that is not in the log yet."""
        return self._pending.oldest

    def refuses(self) -> str | None:
        """Why it takes nothing now: a limit, or what the last write met."""
        return self._limited() or self._failure

    def _limited(self) -> str | None:
        oldest, limit = self.oldest, self._settings.spool_max_age
        if oldest is not None and (self._clock.now() - oldest).total_seconds() > limit:
            return f"events have waited for the log for more than {limit:g} s"
        if self._store.size >= self._settings.spool_max_bytes:
            return f"the spool holds its {self._settings.spool_max_bytes} bytes"
        return None

    def takes(self, candidate: Candidate) -> bool:
        """Whether this one goes here first, as long as none of its key is under way."""
        return self.bars(candidate) or self._samples(candidate.log_key)

    def bars(self, candidate: Candidate) -> bool:
        """Whether this one must not go to the log directly, even if it cannot come here: events of
        its key wait before it, or the log is down as far as the drainer knows."""
        return candidate.log_key in self._pending or (self.log.down and len(self) > 0)

    def _samples(self, key: bytes) -> bool:
        """While it refuses it is asked now and then only: each time costs the event a detour."""
        sample = self._settings.spool_sample
        if sample <= 0 or zlib.crc32(key) % sample:
            return False
        rests = self._failure is not None and self._clock.monotonic() < self._rests_until
        return not rests and self._limited() is None

    async def put(self, candidates: Sequence[Candidate]) -> None:
        """Durable when it returns. Raises `SpoolFull`, `Overloaded` or `TimeoutError`."""
        if reason := self._limited():
            raise SpoolFull(reason)
        limit = self._settings.spool_deadline
        try:
            async with asyncio.timeout(limit):
                taken = await self._writes.submit(candidates, candidates[0].envelope.tenant_id)
        except TimeoutError:
            self._failed(f"the spool's disk did not answer within {limit:g} s")
            raise
        if not all(taken):
            raise SpoolFull("an earlier event of its key is on its way to the log")

    async def head(self, most: int) -> list[tuple[Place, bytes]]:
        """The oldest frames that wait, `most` at most."""
        most = min(len(self), most)
        return await asyncio.to_thread(lambda: list(islice(self._store.frames(), most)))

    async def drop(self, drained: Sequence[tuple[Place, bytes]]) -> None:
        """These frames, the oldest ones, are in the log."""
        await asyncio.to_thread(self._store.drop, drained[-1][0])
        self._failure = None
        for _, payload in drained:
            self._pending.remove(summary(payload)[0])
        self._tell()

    @property
    def size(self) -> int:
        """What lies on disk, in bytes."""
        return self._store.size

    async def close(self, seconds: float) -> None:
        """A write that a hung disk never ends keeps its file; the end of the process closes it."""
        await self._writes.close(seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._turn.acquire()
            await asyncio.to_thread(self._store.close)

    async def _write(self, queued: Sequence[Candidate]) -> Sequence[bool]:
        """One write at a time; whether each was taken: none that would overtake one. A deadline
        ends the wait for a write, but not the write: what becomes durable late is drained like all
        else, though nobody was told so."""
        await self._turn.acquire()
        going = self.underway.in_turn(queued)
        writing = asyncio.create_task(self._written(going), name="spool-write")
        self._writing.add(writing)
        writing.add_done_callback(self._ended)
        await asyncio.shield(writing)
        taken = set(map(id, going))
        return [id(candidate) in taken for candidate in queued]

    async def _written(self, candidates: Sequence[Candidate]) -> None:
        try:
            if not candidates:
                return
            await asyncio.to_thread(lambda: self._store.append([framed(c) for c in candidates]))
            self.underway.placed(candidates)
            for candidate in candidates:
                self._pending.add(candidate.log_key, candidate.envelope.recorded_at)
            self._failure = None
            self._tell()
        except SpoolFull as error:
            self._failed(str(error))
            raise
        finally:
            self._turn.release()

    def _failed(self, reason: str) -> None:
        """Told until a write succeeds or frames are drained."""
        self._failure = reason
        self._rests_until = self._clock.monotonic() + self._settings.spool_pause

    def _ended(self, writing: asyncio.Task[None]) -> None:
        self._writing.discard(writing)
        if not writing.cancelled():
            writing.exception()  # who still waits for it is told; nobody else needs to be

    def _tell(self) -> None:
        if len(self):
            self.filled.set()
        else:
            self.filled.clear()
