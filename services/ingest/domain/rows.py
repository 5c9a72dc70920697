"""From a line of an import file to a row's verdict material."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from libs.common.contracts.errors import ContractViolation
from services.ingest.domain.decoding import decode
from services.ingest.domain.examine import examine_structured, too_large
from services.ingest.domain.model import Candidate, Examined, Receipt, Rejection

MAX_LINE_BYTES = 1024 * 1024
RAW_LIMIT = 2 * 1024


class Numbered(Protocol):
    """A row of a file, before anybody knows what it says; `raw` is its beginning, storable."""

    @property
    def number(self) -> int: ...

    @property
    def blank(self) -> bool: ...

    @property
    def raw(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file, without its end; `cut` tells that it was too long to be kept whole."""

    number: int
    content: bytes
    cut: bool = False

    @property
    def blank(self) -> bool:
        return not self.cut and not self.content.strip()

    @property
    def raw(self) -> str:
        return printable(self.content)


@dataclass(frozen=True, slots=True)
class Row:
    """`examined` holds the row's events, or the one reason why it is rejected whole.

    Once the log has refused some of its events it holds these as rejections beside the others.
    """

    line: Numbered
    examined: Sequence[Examined]

    @property
    def rejection(self) -> Rejection | None:
        return next((one for one in self.examined if isinstance(one, Rejection)), None)


@dataclass(frozen=True, slots=True)
class RowError:
    """A rejected row, as `GET /v1/imports/{id}/errors` shows it."""

    row: int
    code: str
    detail: str
    raw: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows, judged; blank ones, and ones that mean no event, are only counted."""

    lines: int
    skipped: int
    rows: Sequence[Row]

    @property
    def examined(self) -> Sequence[Examined]:
        return [one for row in self.rows for one in row.examined]

    @property
    def candidates(self) -> Sequence[Candidate]:
        return [one for one in self.examined if isinstance(one, Candidate)]

    @property
    def rejected(self) -> int:
        """Rows, however many of a row's events are at fault."""
        return sum(row.rejection is not None for row in self.rows)

    @property
    def errors(self) -> Sequence[RowError]:
        """One for each rejected row: the first reason against it."""
        return [
            RowError(row.line.number, why.code, why.detail, row.line.raw)
            for row in self.rows
            if (why := row.rejection) is not None
        ]


RowT = TypeVar("RowT", bound=Numbered)


def judge(
    lines: Iterable[RowT],
    examine: Callable[[RowT], Sequence[Examined]],
    most: int,
    most_bytes: int,
) -> Chunk:
    """Examine the rows of a chunk, each by itself: no row can spoil its neighbours.

    The chunk ends behind the row with which it holds `most` events and faults, or `most_bytes` of
    them: a row may make much of little. Of an iterator the rows behind that one are left.
    """
    rows: list[Row] = []
    count = held = weight = 0
    for count, line in enumerate(lines, start=1):  # noqa: B007  counted to the end
        if line.blank or not (found := examine(line)):
            continue
        rows.append(Row(line, found))
        held += sum(map(_number, found))
        weight += sum(map(_bytes, found))
        if held >= most or weight >= most_bytes:
            break
    return Chunk(count, count - len(rows), rows)


def _number(one: Examined) -> int:
    return 1 if isinstance(one, Candidate) else len(one.violations)


def _bytes(one: Examined) -> int:
    if isinstance(one, Candidate):
        return len(one.envelope.data)
    return sum(len(violation.detail) for violation in one.violations)


def examine_line(line: Line, receipt: Receipt) -> Examined:
    if line.cut:
        return too_large(None, f"a line must not exceed {MAX_LINE_BYTES} bytes")
    try:
        return examine_structured(decode(line.content), receipt)
    except ContractViolation as error:
        return Rejection(None, error.violations)


def printable(content: bytes) -> str:
    """The beginning of a line as text that PostgreSQL can store."""
    return content[:RAW_LIMIT].decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
