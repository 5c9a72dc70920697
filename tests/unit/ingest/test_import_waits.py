"""Imports over a log that is slow and a database that goes away: they wait, and get forward."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from libs.common.eventlog.port import EventLog, LogUnavailable, NewRecord
from libs.common.expr.cel import Cel
from services.ingest.adapters.import_lines import FileLines
from services.ingest.app import run_import
from services.ingest.app.imports import Bodies, ChunkResult, Claim, ClaimLost, Counts, UnusableFile
from services.ingest.app.ports import IndexUnavailable
from services.ingest.app.run_import import ImportRunner
from services.ingest.settings import IngestSettings
from tests.unit.ingest.test_import_refused import JOB, Kept, Log, event, ndjson

SETTINGS = IngestSettings(import_chunk_rows=100)
pytestmark = pytest.mark.usefixtures("_no_pauses")


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_import, "FIRST_PAUSE", 0.0001)
    monkeypatch.setattr(run_import, "LONGEST_PAUSE", 0.001)


@dataclass
class SlowLog(Log):
    """In its time it takes `takes` records, and nothing of a larger group."""

    most: int = 1000
    takes: int = 30
    away: int = 0
    """So many appends are not answered at all."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        if self.appends < self.away or len(records) > self.takes:
            self.appends += 1
            raise LogUnavailable("scripted")
        return await super().append(topic, records)


@dataclass
class Leased(Kept):
    """A claim lasts for five attempts of the log, from when it was last extended."""

    log: Log = field(default_factory=lambda: Log(1000))
    since: int = 0

    async def extend(self, claim: Claim) -> None:
        if self.log.appends - self.since > 5:
            raise ClaimLost("another worker has it")
        self.since = self.log.appends

    async def commit(self, claim: Claim, result: ChunkResult) -> Claim:
        await self.extend(claim)
        return await super().commit(claim, result)


@dataclass
class Away(Kept):
    """A database that is away when imports are to be finished; `fault` is what it says."""

    times: int = 0
    fault: Exception = field(default_factory=lambda: IndexUnavailable("scripted"))
    unreadable: Exception | None = None
    lost: bool = False
    asked: int = 0

    async def finish(self, claim: Claim, failure: str | None) -> bool:
        self.asked += 1
        if self.asked <= self.times:
            raise self.fault
        await super().finish(claim, failure)
        return not self.lost

    def open(self, path: str, encoding: str) -> FileLines:
        if self.unreadable:
            raise self.unreadable
        return super().open(path, encoding)


async def run(
    log: Log, kept: Kept, stop: asyncio.Event | None = None, settings: IngestSettings = SETTINGS
) -> None:
    bodies = cast(Bodies, kept)
    runner = ImportRunner(cast(EventLog, log), cast(Any, kept), bodies, Cel(), settings)
    async with asyncio.timeout(5):
        await runner.run(Claim(replace(JOB), Counts()), stop or asyncio.Event())


BODY = ndjson(*map(event, range(250)))


@pytest.mark.parametrize("takes", [20, 30, 99])
async def test_a_log_that_takes_little_at_once_gets_all_of_it_once_and_in_order(takes: int) -> None:
    log, kept = SlowLog(takes=takes), Kept(BODY)
    await run(log, kept)
    assert (kept.ended, kept.counts) == ([None], Counts(rows=250, accepted=250))
    whole = SlowLog(takes=1000)
    await run(whole, Kept(BODY))
    assert whole.appends == 3
    assert log.values == whole.values
    keys = [one.candidate.key.event_id for result in kept.results for one in result.appended]
    assert keys == [str(n) for n in range(250)]


async def test_a_database_that_goes_away_meanwhile_costs_no_second_append() -> None:
    class Flaky(Kept):
        commits = 0

        async def commit(self, claim: Claim, result: ChunkResult) -> Claim:
            self.commits += 1
            if self.commits == 1:
                raise IndexUnavailable("scripted")
            return await super().commit(claim, result)

    log, kept = SlowLog(takes=1000), Flaky(BODY)
    await run(log, kept)
    assert len(log.values) == kept.counts.accepted == 250


@pytest.mark.parametrize("log", [SlowLog(away=30), SlowLog(takes=20)])
async def test_an_import_that_waits_for_the_log_keeps_its_claim(log: SlowLog) -> None:
    kept = Leased(BODY, log=log)
    await run(log, kept)
    assert (kept.ended, kept.counts.accepted) == ([None], 250)


async def test_an_import_of_many_pieces_keeps_its_claim_from_piece_to_piece() -> None:
    log = SlowLog(takes=1000)
    kept = Leased(BODY, log=log)
    await run(log, kept, settings=replace(SETTINGS, max_group=10))
    assert (kept.ended, kept.counts.accepted, log.appends) == ([None], 250, 25)


async def test_an_import_whose_claim_is_lost_while_it_waits_is_left_to_the_other() -> None:
    class Lost(Kept):
        async def extend(self, claim: Claim) -> None:
            raise ClaimLost("another worker has it")

    kept = Lost(BODY)
    await run(SlowLog(away=5), kept)
    assert (kept.ended, kept.results, kept.removed) == ([], [], [])


@pytest.mark.parametrize(
    ("unreadable", "told"),
    [
        (None, None),
        (UnusableFile("no such header"), "no such header"),
        (FileNotFoundError("gone"), "FileNotFoundError: gone"),
    ],
)
async def test_an_import_that_ends_while_the_database_is_away_waits_for_it(
    unreadable: Exception | None, told: str | None
) -> None:
    kept = Away(BODY, times=3, unreadable=unreadable)
    await run(SlowLog(takes=1000), kept)
    assert (kept.asked, kept.ended, kept.removed) == (4, [told], ["body"])


@pytest.mark.parametrize("unreadable", [None, UnusableFile("no such header"), OSError("gone")])
async def test_an_end_that_cannot_be_written_ends_nothing_else(
    unreadable: Exception | None,
) -> None:
    """The import is left as it is: when its claim has run out it is tried again."""
    kept = Away(BODY, times=9, fault=RuntimeError("scripted"), unreadable=unreadable)
    await run(SlowLog(takes=1000), kept)
    assert (kept.ended, kept.removed) == ([], [])


async def test_a_stop_ends_the_waiting() -> None:
    stop = asyncio.Event()
    kept = Away(BODY, times=1 << 30, unreadable=UnusableFile("no such header"))
    running = asyncio.create_task(run(SlowLog(), kept, stop))
    async with asyncio.timeout(5):
        while kept.asked < 3:
            await asyncio.sleep(0)
    stop.set()
    await running
    assert (kept.ended, kept.removed) == ([], [])


async def test_the_body_stays_for_the_worker_that_has_the_import_now() -> None:
    kept = Away(BODY, lost=True)
    await run(SlowLog(takes=1000), kept)
    assert kept.removed == []
