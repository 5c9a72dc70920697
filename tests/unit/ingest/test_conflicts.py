"""An event whose id belongs to another body costs its neighbours nothing, whatever is away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from libs.common.ids import uuid5
from services.ingest.adapters.keeping import letter_id
from services.ingest.app.ports import SpoolFull
from services.ingest.domain.conflicts import colliding, refused
from services.ingest.domain.model import Receipt
from services.ingest.domain.put_aside import packed, unpacked
from tests.unit.ingest.spool.failing import Door, door
from tests.unit.ingest.spool.frames import START, candidate
from tests.unit.ingest.test_keeping import Books, filled, opened

FIRST, NEIGHBOUR = candidate(0), candidate(1, "E")
OTHER = replace(FIRST, body_hash=b"z" * 32)
BATCH = (FIRST, OTHER, NEIGHBOUR)
KEPT = colliding([OTHER], Receipt("t", START))


@asynccontextmanager
async def waiting(books: Books, path: Path) -> AsyncIterator[Door]:
    """A door whose letters wait on disk for `books`."""
    async with (
        opened(books, path / "aside") as keeper,
        door(path / "spool", keeper, spool_sample=0) as at,
    ):
        yield at


async def test_without_a_database_it_waits_on_disk_and_is_kept_later(tmp_path: Path) -> None:
    books = Books()
    books.away = True
    async with waiting(books, tmp_path) as at:
        await at.send(*BATCH)
        assert at.log.ids == ["e-0", "e-1"]
        assert filled(tmp_path / "aside")
        books.away = False
        await books.until(lambda books: books.kept == [replace(KEPT, refreshes=[])])


async def test_it_is_kept_before_the_answer_while_there_is_a_database(tmp_path: Path) -> None:
    books = Books()
    async with waiting(books, tmp_path) as at:
        await at.send(*BATCH)
        assert books.kept == [KEPT]


async def test_if_nothing_can_keep_it_its_neighbours_are_in_the_log_all_the_same(
    tmp_path: Path,
) -> None:
    async with door(tmp_path, spool_sample=0) as at:
        at.shelf.away = SpoolFull("scripted")
        with pytest.raises(SpoolFull):
            await at.send(*BATCH)
        assert at.log.ids == ["e-0", "e-1"]


async def test_of_a_delivery_that_is_not_accepted_nothing_is_told(tmp_path: Path) -> None:
    async with door(tmp_path, spool_sample=0) as at:
        at.log.down = at.disk.full = True
        with pytest.raises(SpoolFull):
            await at.send(*BATCH)
        assert at.shelf.kept == [], "no first body is there, and a repetition may come otherwise"


def test_a_letter_has_the_whole_event_and_the_id_that_one_of_an_import_has() -> None:
    (letter,) = KEPT.letters
    assert letter_id(letter) == uuid5("conflict", *OTHER.key, OTHER.body_hash.hex())
    assert letter.body == OTHER.envelope.data
    assert dict(letter.headers)["ce_id"] == b"e-0"
    assert unpacked(packed(KEPT)) == replace(KEPT, refreshes=[])


def test_one_that_the_log_refuses_has_the_id_that_it_has_behind_the_spool() -> None:
    (letter,) = refused([(FIRST, "too large")])
    assert letter_id(letter) == uuid5("refused_by_log", *FIRST.key, FIRST.body_hash.hex())
    assert (letter.code, letter.detail) == ("refused_by_log", "too large")
