"""A part of a CRM's delivery that was put aside, translated anew by its connection of today."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from libs.common.contracts.errors import ContractViolation
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.bounds import TOO_LARGE, TOO_MANY
from services.ingest.domain.crm.model import Delivery, Translation
from services.ingest.domain.decoding import decode_foreign
from services.ingest.domain.examine import examine_incoming
from services.ingest.domain.mapping.bodies import split
from services.ingest.domain.mapping.compiled import CompiledMapping
from services.ingest.domain.mapping.faults import Unfit
from services.ingest.domain.model import Candidate, Receipt, Rejection
from services.ingest.domain.redriving import Part, Refusal

_OWN = ("connection-kind", "query-event")
_LONGEST = 1_000
_GONE = "its connection is gone: put it again under its id and redrive, or dismiss this letter"
_OTHER = "its connection is of another kind now, which cannot read what the former kind sent"
_UNMAPPED = "its connection has no mapping that can be used: mend that, then redrive"
_ROW = (
    "only a row of the body is kept, and the mapping may read what stood beside it: have the"
    " sender deliver it again"
)
_SMALLER = ": have the CRM deliver fewer records at a time, or set {} higher and redrive"
_BEYOND = {
    TOO_MANY: _SMALLER.format("HEADWAY_INGEST_DELIVERY_PARTS"),
    TOO_LARGE: _SMALLER.format("HEADWAY_INGEST_DELIVERY_BYTES"),
}
_SILENT = "it makes no event; what it names is to be read from the CRM"


def gone() -> Refusal:
    return Refusal("connection_deleted", _GONE, "redrive")


def unfit(part: Part, live: Live) -> Refusal | None:
    """Why this connection, as it is now, cannot translate it."""
    if live.kind != part.kind:
        return Refusal("connection_kind", _OTHER, "sender")
    if live.kind != "generic":
        return None
    mapping = live.connection.mapping
    if mapping is None:
        return Refusal("mapping_missing", _UNMAPPED, "redrive")
    lone = mapping.document.rows and not _holds_rows(mapping, part.body)
    return Refusal("not_redrivable", _ROW, "sender") if lone else None


def delivery_of(part: Part) -> Delivery:
    """As it would come alone; of the headers those that letters keep."""
    told = {name: content.decode(errors="replace") for name, content in part.headers}
    headers = {name: text for name, text in told.items() if name not in _OWN}
    query = {"event": told["query-event"]} if "query-event" in told else {}
    return Delivery(part.body, headers, query, received_at=part.received_at)


def judged(part: Part, told: Translation, now: datetime) -> Sequence[Candidate] | Refusal:
    """Its events as they enter, all or none. A time that the source does not tell is that of the
    delivery; the recorded time is now, since Headway did not know before what it means."""
    if told.puzzles:
        puzzle = told.puzzles[0]
        detail = puzzle.detail + _BEYOND.get(puzzle.code, "")
        return Refusal(puzzle.code, detail[:_LONGEST], "redrive")
    receipt = Receipt(part.tenant_id, part.received_at)
    events = list[Candidate]()
    for event in told.events:
        examined = examine_incoming(event, receipt)
        if isinstance(examined, Rejection):
            return Refusal(examined.code, examined.detail[:_LONGEST], "redrive")
        events.append(replace(examined, envelope=replace(examined.envelope, recorded_at=now)))
    return events or Refusal("no_event", _SILENT, "nothing")


def _holds_rows(mapping: CompiledMapping, body: bytes) -> bool:
    try:
        split(mapping, decode_foreign(body), most=len(body))  # as many as translating will take
    except (ContractViolation, Unfit):
        return False
    return True
