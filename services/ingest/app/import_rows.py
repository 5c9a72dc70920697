"""How the rows of an import are read: lines of events, lines under a mapping, tables."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.ingest.app.imports import Bodies, Encoding, Lines, Media, UnusableFile
from services.ingest.domain.mapping.compiled import CompiledMapping
from services.ingest.domain.mapping.dialect import Record
from services.ingest.domain.mapping.lines import examine_mapped
from services.ingest.domain.mapping.table import BadHeader, Table
from services.ingest.domain.model import Receipt
from services.ingest.domain.rows import Chunk, examine_line, judge


class Rows(Protocol):
    """The rows of one open import, judged. Blocking."""

    def skip(self, count: int) -> None:
        """Before the first `next`."""
        ...

    def next(self, max_rows: int, max_bytes: int) -> Chunk:
        """The rows behind those before; it has none at the end. Bounds hold for what is read, and
        for what is made of it: events, and bytes of their data."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a body lies and what it is."""

    path: str
    encoding: Encoding
    media: Media


def open_rows(
    bodies: Bodies, stored: Stored, mapping: CompiledMapping | None, source: str, receipt: Receipt
) -> Rows:
    """Raises `UnusableFile` before any row is looked at."""
    if stored.media == "csv":
        if mapping is None:
            raise UnusableFile("a table needs a mapping")
        return _table(bodies, stored, mapping, source, receipt)
    lines = bodies.open(stored.path, stored.encoding)
    if mapping is None:
        return _Rows(lines, lambda line: [examine_line(line, receipt)])
    return _Rows(lines, lambda line: examine_mapped(line, mapping, source, receipt))


def _table(
    bodies: Bodies, stored: Stored, mapping: CompiledMapping, source: str, receipt: Receipt
) -> Rows:
    dialect = mapping.document.dialect
    records = bodies.open_table(stored.path, stored.encoding, dialect)
    try:
        table = Table(mapping, dialect.columns or _header(records.header()), source)
    except BadHeader as error:
        records.close()
        raise UnusableFile(str(error)) from None
    except BaseException:
        records.close()
        raise
    return _Rows(records, lambda record: table.examine(record, receipt))


def _header(record: Record | None) -> Sequence[str]:
    if record is None:
        raise BadHeader("the file is empty: it has no header")
    if record.fault is not None:
        raise BadHeader(f"the header cannot be read: {record.fault[1]}")
    return list(record.cells)


@dataclass(slots=True)
class _Rows:
    """`Rows` over any kind of line; `read` is what was read and is in no chunk yet."""

    lines: Lines[Any]
    examine: Callable[[Any], Sequence[Any]]
    read: Iterator[Any] = field(default_factory=lambda: iter(()))

    def skip(self, count: int) -> None:
        self.lines.skip(count)

    def next(self, max_rows: int, max_bytes: int) -> Chunk:
        left = judge(self.read, self.examine, max_rows, max_bytes)
        if left.lines:
            return left
        self.read = iter(self.lines.read(max_rows, max_bytes))
        return judge(self.read, self.examine, max_rows, max_bytes)

    def close(self) -> None:
        self.lines.close()
