"""A file's text to records: quoted line ends kept, one bad record never more than itself.

A record that is not well formed is given back as its first line, and reading goes on with the line
behind it: a quote that somebody forgot to close costs its own row, not the rest of the file. That
reads no line more than twice, since a line that opens a quote would close an open one.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from services.ingest.domain.mapping.document import Dialect
from services.ingest.domain.rows import MAX_LINE_BYTES, RAW_LIMIT

MAX_RECORD = MAX_LINE_BYTES
"""Characters of a record."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a table. `number` counts records, as a spreadsheet numbers its rows; the header
    is row 1. `fault` tells why there are no cells."""

    number: int
    cells: Sequence[str]
    text: str
    fault: tuple[str, str] | None = None

    @property
    def blank(self) -> bool:
        return self.fault is None and not any(map(str.strip, self.cells))

    @property
    def raw(self) -> str:
        shown = self.text[:RAW_LIMIT].encode("utf-8", "backslashreplace").decode()
        return shown.replace("\x00", "\\x00")


def records(lines: Iterable[tuple[str, bool]], dialect: Dialect) -> Iterator[Record]:
    """All records of a file's lines; of a line the flag tells that it was too long to be kept."""
    held = _Lines(iter(lines))
    reader = _Reader(dialect)
    number = 0
    while (line := held.next()) is not None:
        number += 1
        yield reader.record(number, line, held)


class _Lines:
    """Lines with a way back."""

    def __init__(self, lines: Iterator[tuple[str, bool]]) -> None:
        self._lines = lines
        self._back: list[tuple[str, bool]] = []

    def next(self) -> tuple[str, bool] | None:
        return self._back.pop() if self._back else next(self._lines, None)

    def give_back(self, lines: Sequence[tuple[str, bool]]) -> None:
        self._back.extend(reversed(lines))


class _Reader:
    def __init__(self, dialect: Dialect) -> None:
        self._delimiter, self._quote = dialect.delimiter, dialect.quote
        self._ends_open, self._stays_open = _patterns(dialect)

    def record(self, number: int, line: tuple[str, bool], rest: _Lines) -> Record:
        text, cut = line
        if cut:
            detail = f"a row must not exceed {MAX_RECORD} bytes"
            return Record(number, (), text, ("too_large", detail))
        if self._quote is None or self._quote not in text:
            return Record(number, text.removesuffix("\r").split(self._delimiter), text)
        more = self._rest_of(text, rest) if self._ends_open.fullmatch(text) else []
        if more is None:
            detail = "a quote is opened and never closed"
            return Record(number, (), text, ("invalid_csv", detail))
        whole = "\n".join([text, *(one for one, _ in more)])
        try:
            return Record(number, self._cells(whole), whole)
        except csv.Error as error:
            rest.give_back(more)
            return Record(number, (), text, ("invalid_csv", f"quotes are wrong: {error}"))

    def _rest_of(self, text: str, rest: _Lines) -> list[tuple[str, bool]] | None:
        """The lines up to the one that ends the record; `None`, all given back, if none does."""
        more: list[tuple[str, bool]] = []
        size = len(text)
        while (line := rest.next()) is not None:
            more.append(line)
            size += len(line[0])
            if line[1] or size > MAX_RECORD:
                break
            if not self._stays_open.fullmatch(line[0]):
                return more
        rest.give_back(more)
        return None

    def _cells(self, whole: str) -> list[str]:
        return next(
            csv.reader(
                [whole.removesuffix("\r")], delimiter=self._delimiter, quotechar=self._quote,
                doublequote=True, strict=True,
            )
        )  # fmt: skip


def _patterns(dialect: Dialect) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Whether a line that begins outside, or inside, of quotes ends inside of them."""
    q = re.escape(dialect.quote or "\0")
    d = re.escape(dialect.delimiter)
    inside = rf"(?:[^{q}]|{q}{q})*+"
    field = rf"(?:{q}{inside}{q}[^{d}]*+|(?!{q})[^{d}]*+)"
    opened = rf"{q}{inside}"
    return (
        re.compile(rf"(?:{field}{d})*+{opened}", re.DOTALL),
        re.compile(rf"{inside}(?:{q}[^{d}]*+{d}(?:{field}{d})*+{opened})?+", re.DOTALL),
    )
