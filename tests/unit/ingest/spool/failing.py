"""An acceptor over a disk and a log that fail when told to; no database behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any, cast

from libs.common.clock import FakeClock
from libs.common.eventlog.port import EventLog, LogUnavailable, NewRecord
from services.ingest.adapters.spool.files import SpoolFiles, SpoolLimits
from services.ingest.adapters.spool.folder import Folder
from services.ingest.app.accept import Acceptor
from services.ingest.app.draining import Drainer
from services.ingest.app.ports import Appended, Place, PromptKeeper, SpoolFull
from services.ingest.app.quotas import EventQuotas
from services.ingest.app.spool import Spool
from services.ingest.app.spools import Spools
from services.ingest.app.unappended import Unappended
from services.ingest.domain.model import Candidate, EventKey, Receipt
from services.ingest.domain.put_aside import PutAside
from services.ingest.settings import IngestSettings, QuotaSettings
from tests.unit.ingest.spool.frames import START

SETTINGS = IngestSettings(
    spool_sample=1, spool_look=0.01, drain_first_pause=0.001, drain_longest_pause=0.002,
    lookup_deadline=30, append_deadline=30, spool_deadline=30, accept_deadline=60,
)  # fmt: skip


class Log:
    """Keeps the ids of what it took."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.down = self.silent = False

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        if self.silent:
            await asyncio.Event().wait()
        if self.down:
            raise LogUnavailable("scripted")
        self.ids += [dict(record.headers)["ce_id"].decode() for record in records]
        return [(0, len(self.ids)) for _ in records]


class Disk(SpoolFiles):
    """A spool whose disk is `full`, cannot be read (`broken`) or says nothing (`hangs`)."""

    def __init__(self, path: Path) -> None:
        super().__init__(Folder(path), SpoolLimits(1_000_000, 100_000))
        self.full = self.broken = False
        self.writes = 0
        self.before: Callable[[], object] = lambda: None

    def append(self, frames: Sequence[bytes]) -> None:
        self.writes += 1
        self.before()
        if self.full:
            raise SpoolFull("the spool's disk takes no more: scripted")
        super().append(frames)

    def frames(self) -> Iterator[tuple[Place, bytes]]:
        if self.broken:
            raise OSError(5, "Input/output error")
        return super().frames()


class Index:
    """Knows nothing and forgets all."""

    async def known(self, keys: Sequence[EventKey]) -> Mapping[EventKey, bytes]:
        return {}

    async def write(self, appended: Sequence[Appended]) -> None: ...

    async def keep_refused(self, refused: Candidate, at: datetime, detail: str) -> None: ...


@dataclass
class Shelf:
    """A `PromptKeeper` that keeps all; or nothing, if it is `away`."""

    kept: list[PutAside] = field(default_factory=list)
    away: Exception | None = None
    within: float = inf
    """Seconds that it was given last."""

    async def keep(self, aside: PutAside, within: float = inf) -> None:
        self.within = within
        if self.away is not None:
            raise self.away
        self.kept.append(aside)


@dataclass
class Stores:
    disk: Disk

    def own(self) -> Disk:
        return self.disk

    def orphan(self) -> None:
        return None


@dataclass
class Door:
    """Everything that a promise rests on."""

    acceptor: Acceptor
    spools: Spools
    disk: Disk
    log: Log
    shelf: Shelf
    clock: FakeClock = field(repr=False)

    @property
    def spool(self) -> Spool:
        return self.spools.own

    async def send(self, *events: Candidate) -> None:
        await self.acceptor.accept(Receipt("t", START), events)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def door(
    path: Path, keeper: PromptKeeper | None = None, **settings: Any
) -> AsyncIterator[Door]:
    chosen, clock, index = replace(SETTINGS, **settings), FakeClock(START), Index()
    log, disk, shelf = Log(), Disk(path), Shelf()
    port = cast(EventLog, log)
    spools = Spools(
        Stores(disk), lambda spool: Drainer(spool, port, index, clock, chosen), clock, chosen
    )
    quotas = EventQuotas(QuotaSettings.model_construct(), clock)
    acceptor = Acceptor(port, index, clock, Unappended(), spools, chosen, quotas, keeper or shelf)
    await spools.open()
    yield Door(acceptor, spools, disk, log, shelf, clock)
    await acceptor.close(1)
    await spools.close(1)
