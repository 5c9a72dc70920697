"""A line of JSON under a mapping: events, or why the line is rejected as a whole."""

from collections.abc import Sequence

from libs.common.contracts.errors import ContractViolation, Violation, pointer
from libs.common.contracts.values import json_fault
from services.ingest.domain.crm.bounds import TooMuch
from services.ingest.domain.decoding import decode
from services.ingest.domain.examine import too_large
from services.ingest.domain.mapping.bodies import scope, split
from services.ingest.domain.mapping.compiled import CompiledMapping
from services.ingest.domain.mapping.faults import Unfit
from services.ingest.domain.mapping.made import Load, examine_made, rejected
from services.ingest.domain.model import Examined, Receipt, Rejection
from services.ingest.domain.rows import MAX_LINE_BYTES, Line


def examine_mapped(
    line: Line, mapping: CompiledMapping, source: str, receipt: Receipt
) -> Sequence[Examined]:
    if line.cut:
        return [too_large(None, f"a line must not exceed {MAX_LINE_BYTES} bytes")]
    try:
        return _examined(line, mapping, mapping.document.source or source, receipt)
    except ContractViolation as violation:
        return [Rejection(None, violation.violations)]
    except Unfit as error:
        return [Rejection(None, (Violation("invalid_field", "", str(error)),))]
    except TooMuch as much:
        return [rejected(much)]


def _examined(
    line: Line, mapping: CompiledMapping, source: str, receipt: Receipt
) -> Sequence[Examined]:
    body = decode(line.content)
    if fault := json_fault(body):
        raise ContractViolation(Violation("invalid_field", pointer(fault[0]), fault[1]))
    rows, rest = split(mapping, body)
    load = Load()
    events = [e for row in rows for e in mapping.events(scope(row, rest, {}), source, load)]
    return examine_made(events, receipt)
