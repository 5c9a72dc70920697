"""Mappings and tables as tests write them."""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from libs.common.expr.cel import Cel
from services.ingest.adapters.import_records import FileRecords
from services.ingest.domain.mapping.compiled import CompiledMapping, UnusableMapping, compiled
from services.ingest.domain.mapping.document import MappingDocument
from services.ingest.domain.mapping.table import Table
from services.ingest.domain.model import Candidate, Examined, Receipt, Rejection

CEL = Cel()
RECEIPT = Receipt("t", datetime(2026, 3, 2, 9, tzinfo=UTC))
CHANGED: Mapping[str, Any] = {
    "type": "deal.stage_changed", "data": {"deal_id": "deal", "stage_id": "stage"},
}  # fmt: skip


def document(*events: Mapping[str, Any], **settings: Any) -> MappingDocument:
    given = {"kind": "csv", "events": list(events) or [CHANGED], **settings}
    return MappingDocument.model_validate(given)


def mapping(*events: Mapping[str, Any], **settings: Any) -> CompiledMapping:
    return compiled(document(*events, **settings), CEL)


def faults(*events: Mapping[str, Any], **settings: Any) -> list[tuple[str, str]]:
    """Pointer and code of everything that a compiler has against a mapping."""
    try:
        mapping(*events, **settings)
    except UnusableMapping as error:
        return [(fault.pointer, fault.code) for fault in error.faults]
    return []


def records(body: bytes, by: CompiledMapping) -> FileRecords:
    return FileRecords(io.BytesIO(body), None, by.document.dialect)


def rows(body: bytes | str, by: CompiledMapping) -> list[tuple[int, Sequence[Examined]]]:
    """Row numbers with what became of each row that is not blank."""
    file = records(body if isinstance(body, bytes) else body.encode(), by)
    header = by.document.dialect.columns
    if header is None:
        first = file.header()
        assert first is not None
        header = list(first.cells)
    table = Table(by, header, "/mappings/m")
    return [
        (record.number, table.examine(record, RECEIPT))
        for record in file.read(100_000, 1 << 40)
        if not record.blank
    ]


def verdicts(body: bytes | str, by: CompiledMapping) -> list[tuple[int, Any]]:
    """Of each row its number, and its code or the data of its events."""
    return [(number, [_verdict(one) for one in found]) for number, found in rows(body, by)]


def _verdict(one: Examined) -> Any:
    if isinstance(one, Rejection):
        return one.code
    assert isinstance(one, Candidate)
    return one.envelope.data.decode()
