"""Dead letters and refreshes while the database is away: durably put by, kept once it is back."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.adapters.spool.files import SpoolLimits
from services.ingest.adapters.spool.stores import SpoolFolders
from services.ingest.app.keeping import LaterKeeper
from services.ingest.app.ports import IndexUnavailable, SpoolFull
from services.ingest.domain.crm.model import Refresh
from services.ingest.domain.letters import Letter
from services.ingest.domain.put_aside import PutAside, packed, unpacked
from services.ingest.settings import IngestSettings

SETTINGS = IngestSettings(
    index_deadline=0.05, drain_first_pause=0.001, drain_longest_pause=0.002, spool_look=0.001
)
AT = datetime(2026, 11, 2, 9, 30, 0, 123, tzinfo=UTC)


class Books:
    """A `Keeper` that may be away, or silent."""

    def __init__(self) -> None:
        self.kept: list[PutAside] = []
        self.away, self.asked, self.changed = False, 0, asyncio.Condition()
        self.hangs = asyncio.Event()
        self.hangs.set()

    async def keep(self, aside: PutAside) -> None:
        self.asked += 1
        await self.hangs.wait()
        if self.away:
            raise IndexUnavailable("scripted")
        self.kept.append(aside)
        async with self.changed:
            self.changed.notify_all()

    async def until(self, found: Callable[["Books"], bool]) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: found(self))


def aside(name: str, body: bytes = b"{}") -> PutAside:
    letter = Letter("acme", "/crm", None, "amount", "no number", [("content-type", b"x")], body)
    return PutAside("acme", name, AT, [letter], [Refresh("deal", "7", "gap")])


def folders(path: Path, most: int = 1_000_000) -> SpoolFolders:
    return SpoolFolders(path, SpoolLimits(most, most))


@asynccontextmanager
async def opened(books: Books, path: Path, most: int = 1_000_000) -> AsyncIterator[LaterKeeper]:
    keeper = LaterKeeper(books, folders(path, most), SETTINGS)
    await keeper.open()
    try:
        yield keeper
    finally:
        await keeper.close(5)


def filled(path: Path) -> bool:
    return any(found.stat().st_size for found in path.glob("*/*.seg"))


async def test_with_the_database_there_nothing_touches_the_disk(tmp_path: Path) -> None:
    books = Books()
    async with opened(books, tmp_path) as keeper:
        await keeper.keep(aside("a"))
        assert books.kept == [aside("a")]
        assert not filled(tmp_path)


async def test_what_cannot_be_kept_now_is_kept_in_order_later(tmp_path: Path) -> None:
    books = Books()
    books.away = True
    async with opened(books, tmp_path) as keeper:
        for name in "abc":
            await keeper.keep(aside(name))
        assert filled(tmp_path)
        assert books.kept == []
        books.away = False
        await books.until(lambda books: len(books.kept) == 3)
        assert [kept.connection_id for kept in books.kept] == ["a", "b", "c"]


async def test_a_silent_database_costs_one_deadline(tmp_path: Path) -> None:
    books = Books()
    books.hangs.clear()
    async with opened(books, tmp_path) as keeper:
        await keeper.keep(aside("a"))
        for _ in range(20):
            await keeper.keep(aside("b"))
        assert books.asked <= 2, "the first delivery and whoever drains; no other has waited"
        books.hangs.set()
        await books.until(lambda books: len(books.kept) >= 21)


async def test_a_restart_and_another_process_find_what_was_left(tmp_path: Path) -> None:
    books = Books()
    books.away = True
    async with opened(books, tmp_path) as first, opened(books, tmp_path) as second:
        await first.keep(aside("a"))
        await second.keep(aside("b"))
    books.away = False
    async with opened(books, tmp_path):
        await books.until(lambda books: {kept.connection_id for kept in books.kept} == {"a", "b"})


async def test_a_full_disk_promises_nothing(tmp_path: Path) -> None:
    books = Books()
    books.away = True
    async with opened(books, tmp_path, most=2_000) as keeper:
        with pytest.raises(SpoolFull):
            for _ in range(20):
                await keeper.keep(aside("a"))
        books.away = False
        await books.until(lambda books: len(books.kept) > 0)


@given(body=st.binary(), header=st.binary(), text=st.text())
def test_every_byte_comes_back(body: bytes, header: bytes, text: str) -> None:
    letter = Letter("acme", text, text, "amount", text, [(text, header)], body, named=text)
    told = PutAside("acme", text, AT, [letter], [Refresh(text, text, "gap")])
    assert unpacked(packed(told)) == told


def test_frames_of_the_release_before_are_read_and_read_ours() -> None:
    told = json.loads(packed(aside("a")))
    known = {"tenant_id", "source", "event_id", "code", "detail", "headers", "body"}
    assert set(told["letters"][0]) == known, "that release takes no other field"
    del told["later"]
    assert unpacked(json.dumps(told).encode()) == aside("a")
