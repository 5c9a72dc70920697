"""Lines of a stored body, in constant memory."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import AnyStr, BinaryIO

from services.ingest.app.inflate import Inflate
from services.ingest.domain.rows import MAX_LINE_BYTES, RAW_LIMIT, Line

BLOCK = 256 * 1024


class FileLines:
    """`Lines` over an open file; `inflate` where the body is gzip."""

    def __init__(self, file: BinaryIO, inflate: Inflate | None) -> None:
        self._file = file
        self._lines = _numbered(cut(blocks(file, inflate), b"\n"))

    def skip(self, count: int) -> None:
        for _ in islice(self._lines, count):
            pass

    def read(self, max_lines: int, max_bytes: int) -> Sequence[Line]:
        """The next lines: at most `max_lines`, and no more once they exceed `max_bytes`."""
        lines: list[Line] = []
        size = 0
        while len(lines) < max_lines and size < max_bytes:
            line = next(self._lines, None)
            if line is None:
                break
            lines.append(line)
            size += len(line.content)
        return lines

    def close(self) -> None:
        self._file.close()


def blocks(file: BinaryIO, inflate: Inflate | None) -> Iterator[bytes]:
    """The body as it was sent, inflated."""
    while block := file.read(BLOCK):
        if inflate is None:
            yield block
        else:
            yield from inflate.feed(block)
    if inflate is not None:
        inflate.finish()


def cut(pieces: Iterator[AnyStr], end: AnyStr) -> Iterator[tuple[AnyStr, bool]]:
    """Lines and whether they were too long; of such a one only the beginning is kept."""
    held, too_long = end[:0], False
    for piece in pieces:
        parts: list[AnyStr] = piece.split(end)
        held, too_long = _extend(held, too_long, parts[0])
        for part in parts[1:]:
            yield held, too_long
            held, too_long = _extend(end[:0], False, part)
    if held or too_long:
        yield held, too_long


def _extend(held: AnyStr, too_long: bool, part: AnyStr) -> tuple[AnyStr, bool]:
    if too_long or len(held) + len(part) > MAX_LINE_BYTES:
        return (held + part)[:RAW_LIMIT] if not too_long else held, True
    return held + part, False


def _numbered(lines: Iterator[tuple[bytes, bool]]) -> Iterator[Line]:
    for number, (content, too_long) in enumerate(lines, start=1):
        yield Line(number, content, too_long)
