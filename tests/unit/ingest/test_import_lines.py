"""Files of an import: lines, limits, gzip members, bombs."""

import gzip
import io
import zlib
from collections.abc import Callable

import pytest

from services.ingest.adapters.import_lines import FileLines
from services.ingest.app.imports import BadUpload, UploadTooLarge
from services.ingest.app.inflate import Inflate
from services.ingest.domain.examine import MAX_EVENT_BYTES
from services.ingest.domain.rows import MAX_LINE_BYTES, Line


def read(body: bytes, inflate: Inflate | None = None) -> list[Line]:
    return list(FileLines(io.BytesIO(body), inflate).read(10_000, 1 << 30))


def contents(body: bytes) -> list[bytes]:
    return [line.content for line in read(body)]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\n\nb\n", [b"a", b"", b"b"]),
        (b"\n\n", [b"", b""]),
        (b"a\r\nb", [b"a\r", b"b"]),
    ],
)
def test_lines_end_at_newlines(body: bytes, lines: list[bytes]) -> None:
    assert contents(body) == lines


def test_lines_across_blocks_stay_whole_and_numbered() -> None:
    body = b"\n".join(b"x" * 1000 + str(n).encode() for n in range(2_000))
    lines = read(body)
    assert [line.number for line in lines] == list(range(1, 2_001))
    assert lines[1_999].content.endswith(b"x1999")


def test_a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() -> None:
    first, long, last = read(b"a\n" + b"x" * (3 * MAX_LINE_BYTES) + b"\nb\n")
    assert (first.content, last.content, last.number) == (b"a", b"b", 3)
    assert long.cut
    assert len(long.content) <= 2 * 1024


def test_reading_goes_on_behind_skipped_lines() -> None:
    lines = FileLines(io.BytesIO(b"a\nb\nc\nd\n"), None)
    lines.skip(2)
    assert [line.number for line in lines.read(1, 100)] == [3]
    assert [line.number for line in lines.read(9, 100)] == [4]
    assert lines.read(9, 100) == []


def test_a_chunk_is_bounded_in_bytes() -> None:
    lines = FileLines(io.BytesIO(b"aaaa\n" * 10), None)
    assert len(lines.read(100, 10)) == 3


def inflated(body: bytes, *, most: int = MAX_EVENT_BYTES, ratio: int = 100) -> bytes:
    inflate = Inflate(most, ratio)
    whole = b"".join(inflate.feed(body))
    inflate.finish()
    return whole


def test_gzip_members_follow_each_other() -> None:
    assert inflated(gzip.compress(b"a\n") + gzip.compress(b"b\n") + b"\0" * 8) == b"a\nb\n"


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: b"",
        lambda body: body[:-1],
        lambda body: body[: len(body) // 2],
        lambda body: body[:-5] + b"12345",
        lambda body: body + b"trailing",
        lambda body: b"plain text",
        lambda body: zlib.compress(b"not a gzip member"),
    ],
)
def test_what_is_not_whole_gzip_is_refused(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadUpload):
        inflated(damage(gzip.compress(b"some lines\n" * 50)))


def test_a_bomb_is_stopped_by_its_ratio_long_before_its_size() -> None:
    bomb = gzip.compress(b"\0" * (64 << 20))
    seen = 0
    inflate = Inflate(1 << 40, 100)
    with pytest.raises(UploadTooLarge, match="100 to 1"):
        for piece in inflate.feed(bomb):
            seen += len(piece)
    assert seen < 8 << 20


def test_a_well_packed_body_is_stopped_by_its_size() -> None:
    with pytest.raises(UploadTooLarge, match="more than 1000 bytes"):
        inflated(gzip.compress(b"a" * 1001), most=1000)
    assert len(inflated(gzip.compress(b"a" * 1000), most=1000)) == 1000


def test_file_lines_read_gzip() -> None:
    assert [x.content for x in read(gzip.compress(b"a\nb"), Inflate(100, 100))] == [b"a", b"b"]
