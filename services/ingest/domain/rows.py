"""From a line of an import file to a row's verdict material."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.contracts.errors import ContractViolation
from services.ingest.domain.decoding import decode
from services.ingest.domain.examine import examine_structured, too_large
from services.ingest.domain.model import Candidate, Examined, Receipt, Rejection

MAX_LINE_BYTES = 1024 * 1024
RAW_LIMIT = 2 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file, without its end; `cut` tells that it was too long to be kept whole."""

    number: int
    content: bytes
    cut: bool = False

    @property
    def blank(self) -> bool:
        return not self.cut and not self.content.strip()


@dataclass(frozen=True, slots=True)
class Row:
    line: Line
    examined: Examined


@dataclass(frozen=True, slots=True)
class RowError:
    """A rejected row, as `GET /v1/imports/{id}/errors` shows it."""

    row: int
    code: str
    detail: str
    raw: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive lines, judged; blank ones are only counted."""

    lines: int
    skipped: int
    rows: Sequence[Row]

    @property
    def candidates(self) -> Sequence[Candidate]:
        return [r.examined for r in self.rows if isinstance(r.examined, Candidate)]

    @property
    def errors(self) -> Sequence[RowError]:
        return [
            RowError(r.line.number, r.examined.code, r.examined.detail, printable(r.line.content))
            for r in self.rows
            if isinstance(r.examined, Rejection)
        ]


def judge(lines: Sequence[Line], receipt: Receipt) -> Chunk:
    """Examine the lines of a chunk, each by itself: no line can spoil its neighbours."""
    rows = [Row(line, examine_line(line, receipt)) for line in lines if not line.blank]
    return Chunk(len(lines), len(lines) - len(rows), rows)


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
