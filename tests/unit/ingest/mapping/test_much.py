"""What one row may make and one chunk may hold: bounded by what is made, not by what is read."""

import io
import json
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest

from services.ingest.adapters.import_lines import FileLines
from services.ingest.adapters.import_records import FileRecords
from services.ingest.app.import_rows import Rows, Stored, open_rows
from services.ingest.app.imports import Bodies, Media
from services.ingest.domain.mapping.compiled import CompiledMapping
from services.ingest.domain.mapping.document import Dialect
from services.ingest.domain.mapping.lines import examine_mapped
from services.ingest.domain.mapping.made import MOST_EVENTS
from services.ingest.domain.model import Examined, Rejection
from services.ingest.domain.rows import Chunk, Line
from tests.unit.ingest.mapping.made import RECEIPT, mapping, rows

MIB = 1 << 20
OWN = {"from": "'own.told'"}
"""A type that is in no catalogue: its data are what the mapping says."""


def copies(number: int, what: Any = "body.blob", **settings: Any) -> CompiledMapping:
    """A mapping of so many events a row, each with a copy of the same."""
    event = {"type": OWN, "data": {"deal": "row.d", "copy": what}}
    return mapping(*[event] * number, kind="json", rows="items", **settings)


def line(items: int, blob: str = "") -> bytes:
    return json.dumps({"blob": blob, "items": [{"d": f"D{n}"} for n in range(items)]}).encode()


def examined(content: bytes, by: CompiledMapping) -> Sequence[Examined]:
    return examine_mapped(Line(1, content), by, "/m", RECEIPT)


@contextmanager
def at_most(most: int) -> Iterator[None]:
    """No more memory than so many bytes at any time."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most


@pytest.mark.parametrize("items", [40, 1_000])
def test_a_line_that_copies_much_often_is_rejected_before_it_is_made(items: int) -> None:
    content, by = line(items, "x" * 60_000), copies(50)
    with at_most(16 * MIB):
        (found,) = examined(content, by)
    assert isinstance(found, Rejection)
    assert (found.code, found.detail) == (
        "too_large", f"makes events of more than {4 * MIB} bytes together"
    )  # fmt: skip


def test_one_event_that_copies_often_is_rejected_before_it_is_made() -> None:
    """Texts are trimmed, so each is a copy as soon as it is read."""
    deep = {f"a{n}": "body.blob" for n in range(2_000)}
    event = {"type": OWN, "data": {"attributes": deep}}
    by = mapping(event, kind="json", rows="items")
    with at_most(24 * MIB):
        (found,) = examined(line(1, " " + "x" * 900_000), by)
    assert isinstance(found, Rejection)
    assert found.code == "too_large"


def test_a_line_of_too_many_events_is_rejected_whole() -> None:
    (found,) = examined(line(MOST_EVENTS // 50 + 1), copies(50, "row.d"))
    assert isinstance(found, Rejection)
    assert (found.code, found.detail) == ("too_many_events", "makes more than 5000 events")


def test_a_line_of_as_many_events_as_may_be_enters() -> None:
    """Alike ones are duplicates of each other; what is not wanted of a row does not count."""
    by = copies(50, "row.d")
    assert len(examined(line(MOST_EVENTS // 50), by)) == MOST_EVENTS
    never = {"type": "deal.created", "when": "row.d == ''", "data": {"deal_id": "row.d"}}
    assert examined(line(1_000), mapping(*[never] * 6, kind="json", rows="items")) == []


def test_what_is_told_in_characters_is_weighed_in_bytes() -> None:
    assert examined(line(21, "\x01" * 30_000), copies(1)) != []
    (found,) = examined(line(24, "\x01" * 30_000), copies(1))
    assert isinstance(found, Rejection)
    assert found.code == "too_large"


LONG = {"x": "y" * 40_000}
"""200 kB of five."""


def test_ids_that_are_long_are_weighed_with_the_data() -> None:
    event = {"type": OWN, "id": "body.blob", "data": {"deal": "row.d"}}
    with at_most(24 * MIB):
        (found,) = examined(
            line(100, " " + "x" * 900_000), mapping(event, kind="json", rows="items")
        )
    assert isinstance(found, Rejection)
    assert found.code == "too_large"


def looked_up(number: int) -> CompiledMapping:
    """A table whose rows each make so many events with a text of 40 kB."""
    read = {f"a{n}": {"from": "stage", "lookup": "t"} for n in range(5)}
    event = {"type": OWN, "data": {"deal": "deal"} | read}
    return mapping(*[event] * number, lookup={"t": LONG})


def test_a_row_of_a_table_that_makes_much_of_a_lookup_is_rejected_and_the_next_one_enters() -> None:
    by = looked_up(50)
    with at_most(16 * MIB):
        found = rows("deal,stage\nD1,x\n", by)
    assert [(number, [getattr(one, "code", "")]) for number, (one, *_) in found] == [
        (2, ["too_large"])
    ]
    fewer = rows("deal,stage\nD1,x\nD2,x\n", looked_up(20))
    assert [(number, len(made)) for number, made in fewer] == [(2, 20), (3, 20)]


def test_texts_of_a_table_that_are_joined_often_are_bounded_as_well() -> None:
    joined = " + ".join(["row.stage"] * 150)
    event = {"type": OWN, "data": {"deal": "deal", "joined": joined}}
    with at_most(24 * MIB):
        ((_, (found,)),) = rows("deal,stage\nD1," + "x" * 1_000_000 + "\n", mapping(event))
    assert isinstance(found, Rejection)
    assert found.code == "too_large"


@dataclass
class Held:
    """`Bodies` of one body."""

    body: bytes

    def open(self, path: str, encoding: str) -> FileLines:
        return FileLines(io.BytesIO(self.body), None)

    def open_table(self, path: str, encoding: str, dialect: Dialect) -> FileRecords:
        return FileRecords(io.BytesIO(self.body), None, dialect)


def opened(body: bytes, by: CompiledMapping | None, media: Media) -> Rows:
    stored = Stored("path", "identity", media)
    return open_rows(cast(Bodies, Held(body)), stored, by, "/m", RECEIPT)


def chunks(file: Rows, most: int = 2_000, most_bytes: int = 2 * MIB) -> list[Chunk]:
    found: list[Chunk] = []
    while (chunk := file.next(most, most_bytes)).lines:
        found.append(chunk)
    return found


def numbers(found: Sequence[Chunk]) -> list[list[int]]:
    return [[row.line.number for row in chunk.rows] for chunk in found]


def together(found: Sequence[Chunk]) -> list[int]:
    return [number for part in numbers(found) for number in part]


TABLE = b"deal,stage\n" + b"".join(b"D%d,x\n" % n for n in range(25))
LINES = b"".join(b'{"d": "D%d"}\n\n' % n for n in range(12))


def test_a_chunk_of_a_table_ends_with_the_row_that_makes_it_full() -> None:
    by = looked_up(2)
    with at_most(16 * MIB):
        found = [(len(c.rows), len(c.candidates)) for c in _each(opened(TABLE, by, "csv"))]
    assert found == [(6, 12)] * 4 + [(1, 2)], "2 MiB are passed by the sixth row of 400 kB"
    assert together(chunks(opened(TABLE, by, "csv"))) == list(range(2, 27))


def _each(file: Rows) -> Iterator[Chunk]:
    while (chunk := file.next(2_000, 2 * MIB)).lines:
        yield chunk


def test_a_chunk_of_lines_ends_with_the_event_that_makes_it_full() -> None:
    """Blank lines count as rows; those behind the end of a chunk are of the next one."""
    event = {"type": "deal.created", "data": {"deal_id": "row.d"}}
    found = chunks(opened(LINES, mapping(*[event] * 3, kind="json"), "ndjson"), most=10)
    assert [chunk.lines for chunk in found] == [7, 3, 7, 3, 4]
    assert [chunk.skipped for chunk in found] == [3, 2, 3, 2, 2]
    assert numbers(found) == [[1, 3, 5, 7], [9], [11, 13, 15, 17], [19], [21, 23]]


@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_reading_goes_on_behind_the_chunks_that_are_counted(done: int) -> None:
    by = looked_up(2)
    found = chunks(opened(TABLE, by, "csv"))
    again = opened(TABLE, by, "csv")
    again.skip(sum(chunk.lines for chunk in found[:done]))
    assert together(chunks(again)) == together(found[done:])


def test_rows_with_very_many_faults_fill_a_chunk_too() -> None:
    fields = {f"f{n}": {"from": "row.gone", "as": "integer", "default": "x"} for n in range(100)}
    bad = {"type": OWN, "data": fields}
    by = mapping(bad, kind="json")
    found = chunks(opened(LINES, by, "ndjson"), most=250)
    assert together(found) == list(range(1, 24, 2))
    assert all(len(chunk.rows) <= 3 for chunk in found)


def test_lines_without_a_mapping_are_cut_as_they_are_read() -> None:
    event = {"specversion": "1.0", "source": "/s", "type": "own.told", "data": {}}
    body = "".join(json.dumps(event | {"id": str(n)}) + "\n" for n in range(25)).encode()
    assert [chunk.lines for chunk in chunks(opened(body, None, "ndjson"), most=10)] == [10, 10, 5]
