"""Dead letters and refreshes while the database is away: durably put by, kept once it is back."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common import metrics
from services.ingest.adapters.spool.files import SpoolLimits
from services.ingest.adapters.spool.stores import SpoolFolders
from services.ingest.app import keeping
from services.ingest.app.keeping import LaterKeeper
from services.ingest.app.ports import IndexUnavailable, SpoolFull, SpoolStore, Unkeepable
from services.ingest.domain.crm.model import Refresh
from services.ingest.domain.frames import frame
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
        self.refused: bytes | None = None
        """What no letter may hold."""
        self.hangs = asyncio.Event()
        self.hangs.set()

    async def keep(self, aside: PutAside) -> None:
        self.asked += 1
        await self.hangs.wait()
        if self.away:
            raise IndexUnavailable("scripted")
        if self.refused in [letter.body for letter in aside.letters]:
            raise Unkeepable("scripted")
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


def refused(path: Path) -> list[PutAside]:
    """Whole files; one that is being written has another name."""
    found = [file for file in path.glob("*/refused/*") if file.suffix != ".new"]
    return [unpacked(file.read_bytes()) for file in found]


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


async def test_what_is_refused_for_good_holds_up_nothing(tmp_path: Path) -> None:
    books = Books()
    books.away, books.refused = True, b"bad"
    counted = metrics.PUT_ASIDE_REFUSED._value.get()
    async with opened(books, tmp_path) as keeper:
        for name, body in (("a", b"{}"), ("b", b"bad"), ("c", b"{}")):
            await keeper.keep(aside(name, body))
        books.away = False
        await books.until(lambda books: books.kept[-1:] == [aside("c")])
    letters = [letter.body for kept in books.kept for letter in kept.letters]
    assert letters == [b"{}", b"{}"]
    (file,) = tmp_path.glob("*/refused/*")
    assert file.stat().st_mode & 0o077 == 0
    assert [one.letters for one in refused(tmp_path)] == [aside("b", b"bad").letters]
    assert metrics.PUT_ASIDE_REFUSED._value.get() == counted + 1
    assert not filled(tmp_path)


async def test_its_neighbours_in_one_delivery_are_kept(tmp_path: Path) -> None:
    books = Books()
    books.away, books.refused = True, b"bad"
    good, bad = aside("a"), aside("a", b"bad")
    async with opened(books, tmp_path) as keeper:
        await keeper.keep(replace(good, letters=[*bad.letters, *good.letters]))
        books.away = False
        await books.until(lambda books: len(books.kept) == 2)
        assert [list(kept.letters) for kept in books.kept] == [good.letters, []]
        assert [list(kept.refreshes) for kept in books.kept] == [[], good.refreshes]
    assert refused(tmp_path) == [replace(bad, refreshes=[])]


async def test_a_delivery_is_not_failed_for_what_is_refused_for_good(tmp_path: Path) -> None:
    books = Books()
    books.refused = b"bad"
    async with opened(books, tmp_path) as keeper:
        await keeper.keep(aside("a", b"bad"))
        await books.until(lambda books: len(books.kept) == 1)
    assert [one.letters for one in refused(tmp_path)] == [aside("a", b"bad").letters]


async def test_a_frame_that_nobody_can_read_holds_up_nothing(tmp_path: Path) -> None:
    books = Books()
    left = folders(tmp_path).own()
    left.append([frame(b"rubbish"), frame(packed(aside("a")))])
    left.close()
    async with opened(books, tmp_path):
        await books.until(lambda books: books.kept == [aside("a")])
    (file,) = tmp_path.glob("*/refused/*")
    assert file.read_bytes() == b"rubbish"


async def test_what_is_refused_waits_while_its_file_cannot_be_written(tmp_path: Path) -> None:
    books = Books()
    books.refused = b"bad"
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "refused").touch()
    async with opened(books, tmp_path) as keeper:
        await keeper.keep(aside("a", b"bad"))
        await books.until(lambda books: books.asked > 4)
        (tmp_path / "0" / "refused").unlink()
        async with asyncio.timeout(10):
            while not refused(tmp_path):
                await asyncio.sleep(0.002)
    assert [one.letters for one in refused(tmp_path)] == [aside("a", b"bad").letters]


async def test_a_full_disk_promises_nothing(tmp_path: Path) -> None:
    books = Books()
    books.away = True
    async with opened(books, tmp_path, most=2_000) as keeper:
        with pytest.raises(SpoolFull):
            for _ in range(20):
                await keeper.keep(aside("a"))
        books.away = False
        await books.until(lambda books: len(books.kept) > 0)


async def test_a_disk_that_is_silent_too_holds_no_more_than_its_share_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Senders come again and again for what nobody could promise them."""
    monkeypatch.setattr(keeping, "MOST_WRITING", 10_000)
    appending, goes_on = SpoolFolders.own, threading.Event()

    def own(stores: SpoolFolders) -> SpoolStore:
        store = appending(stores)
        append = store.append
        monkeypatch.setattr(store, "append", lambda some: goes_on.wait(10) and append(some))
        return store

    monkeypatch.setattr(SpoolFolders, "own", own)
    books = Books()
    books.away = True
    async with opened(books, tmp_path) as keeper:
        asked = [keeper.keep(aside("a", b"x" * 900), within=0.02) for _ in range(50)]
        ends = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(end) for end in ends} == {TimeoutError, SpoolFull}
        promised = sum(isinstance(end, TimeoutError) for end in ends)
        assert 1 < promised < 10
        books.away = False
        goes_on.set()
        await books.until(lambda books: len(books.kept) == promised)
        await keeper.keep(aside("b", b"x" * 900))


@given(body=st.binary(), header=st.binary(), text=st.text())
def test_every_byte_comes_back(body: bytes, header: bytes, text: str) -> None:
    letter = Letter("acme", text, text, "amount", text, [(text, header)], body, text, text)
    told = PutAside("acme", text, AT, [letter], [Refresh(text, text, "gap")])
    assert unpacked(packed(told)) == told


def test_frames_of_the_release_before_are_read_and_read_ours() -> None:
    told = json.loads(packed(aside("a")))
    known = {"tenant_id", "source", "event_id", "code", "detail", "headers", "body"}
    assert set(told["letters"][0]) == known, "that release takes no other field"
    del told["later"]
    assert unpacked(json.dumps(told).encode()) == aside("a")
