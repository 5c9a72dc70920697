"""A table under a mapping: is its header the right one, and what do its rows say."""

import re
from collections.abc import Sequence

from libs.common.contracts.errors import ContractViolation, Violation
from services.ingest.domain.crm.bounds import TooMuch
from services.ingest.domain.mapping.compiled import CompiledMapping
from services.ingest.domain.mapping.dialect import Record
from services.ingest.domain.mapping.made import Load, examine_made, rejected
from services.ingest.domain.model import Examined, Receipt, Rejection

_UNREADABLE = re.compile(r"[\ud800-\udfff]")
_COMMON = ",;\t|"
_SHOWN = 20


class BadHeader(Exception):
    """A file whose header is not what the mapping reads: no row of it is looked at."""


class Table:
    """Rows under one header. `source` is that of events where the mapping names none."""

    def __init__(self, mapping: CompiledMapping, header: Sequence[str], source: str) -> None:
        """Raises `BadHeader`."""
        self._mapping, self._source = mapping, mapping.document.source or source
        self._names = [name.strip() for name in header]
        _check(mapping, self._names)
        self._lacking = dict.fromkeys(mapping.optional - set(self._names), "")
        self._empty = frozenset(mapping.document.empty)
        self._wide = mapping.document.dialect.encoding.startswith("utf-16")

    def examine(self, record: Record, receipt: Receipt) -> Sequence[Examined]:
        """The events of a row, or why it is rejected as a whole; none where no event is meant."""
        if fault := record.fault or self._fault(record):
            return [_rejected(*fault)]
        try:
            scope = {"row": self._row(record.cells)}
            return examine_made(self._mapping.events(scope, self._source, Load()), receipt)
        except ContractViolation as violation:
            return [Rejection(None, violation.violations)]
        except TooMuch as much:
            return [rejected(much)]

    def _fault(self, record: Record) -> tuple[str, str] | None:
        cells, named = record.cells, len(self._names)
        if "\x00" in record.text:
            return "invalid_text", "must not contain U+0000"
        if not record.text.isascii() and self._undecoded(record.text):
            encoding = self._mapping.document.dialect.encoding
            return "invalid_encoding", f"is not text in {encoding}"
        if len(cells) < named or any(cells[named:]):
            return "ragged_row", f"has {len(cells)} cells, where the header has {named}"
        return None

    def _undecoded(self, raw: str) -> bool:
        return _UNREADABLE.search(raw) is not None or (self._wide and "\ufffd" in raw)

    def _row(self, cells: Sequence[str]) -> dict[str, str]:
        texts = [cell.strip() for cell in cells]
        if self._empty:
            texts = ["" if text in self._empty else text for text in texts]
        row = dict(zip(self._names, texts, strict=False))
        return row | self._lacking if self._lacking else row


def _rejected(code: str, detail: str) -> Rejection:
    return Rejection(None, (Violation(code, "", detail),))


def _check(mapping: CompiledMapping, names: Sequence[str]) -> None:
    read = mapping.columns | mapping.optional
    if twice := sorted(name for name in read if names.count(name) > 1):
        raise BadHeader(f"the header names columns twice that the mapping reads: {_list(twice)}")
    missing = sorted(mapping.columns - set(names))
    if missing:
        raise BadHeader(
            f"the mapping reads columns that the header lacks: {_list(missing)}; it has:"
            f" {_list(names)}{_hint(mapping, names, missing)}"
        )


def _hint(mapping: CompiledMapping, names: Sequence[str], missing: Sequence[str]) -> str:
    """Whether another delimiter would have found more of them."""
    delimiter = mapping.document.dialect.delimiter
    whole = delimiter.join(names)
    for other in _COMMON.replace(delimiter, ""):
        split = {name.strip(' "') for name in whole.split(other)}
        if split.intersection(missing):
            return f"; its delimiter seems to be {other!r}, not {delimiter!r}"
    return ""


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(ascii(name[:60]) if not name.isprintable() else repr(name[:60])
                      for name in names[:_SHOWN])  # fmt: skip
    return shown + (", …" if len(names) > _SHOWN else "")
