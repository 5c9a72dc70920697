"""A delivery is answered in the time that is promised, whatever of database, log and disk says
nothing: each of them may take its whole deadline, but not all of them one after another."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.common.web.remembered import LOOKUP_SECONDS
from services.ingest.app.ports import IndexUnavailable
from services.ingest.app.turns import PATIENCE
from services.ingest.domain.model import EventKey, Receipt
from services.ingest.settings import IngestSettings
from tests.unit.ingest.spool import failing
from tests.unit.ingest.spool.failing import Door, door
from tests.unit.ingest.spool.frames import START, candidate
from tests.unit.ingest.test_keeping import SETTINGS, Books, aside, opened
from tests.unit.ingest.test_receiving import OWN, World

PROMISED = 4.0
LIMITS = IngestSettings()
FIRST = candidate(0)
BATCH = (FIRST, replace(FIRST, body_hash=b"z" * 32))


def spends(at: Door, seconds: float) -> None:
    """Somebody takes so long, a little less than may be."""
    at.clock.advance(timedelta(seconds=seconds - 0.01))


def slow(at: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database and the log say nothing for as long as they may, the disk almost nothing."""

    async def known(_: object, keys: Sequence[EventKey]) -> Mapping[EventKey, bytes]:
        spends(at, LIMITS.lookup_deadline)
        raise IndexUnavailable("scripted")

    async def append(*_: Any) -> Sequence[tuple[int, int]]:
        spends(at, LIMITS.append_deadline)
        raise TimeoutError

    monkeypatch.setattr(failing.Index, "known", known)
    monkeypatch.setattr(at.log, "append", append)
    at.disk.before = lambda: spends(at, LIMITS.spool_deadline)


async def test_a_conflict_gets_only_the_time_that_log_and_spool_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with door(tmp_path, spool_sample=0) as at:
        slow(at, monkeypatch)
        due = at.clock.monotonic() + LIMITS.answer_deadline
        await at.acceptor.accept(Receipt("t", START, answer_by=due), BATCH)
        assert at.clock.monotonic() + at.shelf.within <= due + 1e-9
        assert len(at.shelf.kept) == 1


async def test_the_log_leaves_the_spool_its_time(tmp_path: Path) -> None:
    """A large delivery that came late to its turn: the log gets less than otherwise."""
    async with door(tmp_path, spool_sample=0, spool_deadline=30) as at:
        at.log.silent = True
        due = at.clock.monotonic() + 30.02
        async with asyncio.timeout(10):
            await at.acceptor.accept(Receipt("t", START, answer_by=due), [FIRST])
        assert at.disk.writes == 1


async def test_without_time_the_log_is_not_asked_and_not_blamed(tmp_path: Path) -> None:
    async with door(tmp_path, spool_sample=0, spool_deadline=30) as at:
        at.log.silent = True
        due = at.clock.monotonic() + 30
        await at.acceptor.accept(Receipt("t", START, answer_by=due), [FIRST])
        assert (at.disk.writes, at.spool.log.down) == (1, False)


async def test_what_is_kept_goes_to_the_disk_at_once_where_the_database_could_not_be_awaited(
    tmp_path: Path,
) -> None:
    books = Books()
    books.hangs.clear()
    async with opened(books, tmp_path) as keeper:
        await keeper.keep(aside("a"), SETTINGS.spool_deadline)
        books.hangs.set()
        await books.until(lambda books: len(books.kept) == 1)


async def test_what_is_durable_too_late_is_refused_and_kept_all_the_same(tmp_path: Path) -> None:
    books = Books()
    async with opened(books, tmp_path) as keeper:
        with pytest.raises(TimeoutError):
            await keeper.keep(aside("a"), 0)
        await books.until(lambda books: books.kept == [aside("a")])


async def test_letters_of_a_delivery_get_only_the_time_that_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    due = world.clock.monotonic() + 60
    await world.receive(OWN, 1, answer_by=due)
    assert 0 < world.within <= 60


def test_the_parts_fit_into_the_promise() -> None:
    """Credential first; then turn, flag and look-up leave the log some time, and the spool its."""
    assert LOOKUP_SECONDS + LIMITS.answer_deadline <= PROMISED
    assert 2 * LIMITS.lookup_deadline <= LOOKUP_SECONDS, "a connection's, and its mapping's"
    before = PATIENCE + 2 * LIMITS.lookup_deadline
    assert before + LIMITS.spool_deadline < LIMITS.answer_deadline
