"""From a record of the log to an event that can be kept; what cannot is buried with its reason."""

from datetime import datetime

import orjson

from libs.common.contracts.catalogue import parse, subject_of
from libs.common.contracts.cloudevents import MAX_ID, MAX_SOURCE, MAX_TYPE, body_hash
from libs.common.contracts.envelope import Envelope, from_headers
from libs.common.contracts.errors import ContractViolation
from libs.common.eventlog.loop import Buried
from libs.common.eventlog.port import Record
from services.funnel.app.model import Incoming, Kept
from services.funnel.domain.model import FoldEvent


def decode(record: Record) -> Incoming | Buried:
    """The event in `record`. Reads tolerantly: unknown fields pass, unknown types are kept."""
    try:
        return _decoded(record, from_headers(record.headers, record.value))
    except ContractViolation as error:
        code = "undecodable" if error.code == "undecodable" else "invalid"
        return Buried(record, code, str(error))


def _decoded(record: Record, envelope: Envelope) -> Incoming | Buried:
    limits = ((envelope.source, MAX_SOURCE), (envelope.id, MAX_ID), (envelope.type, MAX_TYPE))
    if any(len(text) > limit for text, limit in limits):
        return Buried(record, "undecodable", "a header is too long")
    data = parse(envelope.type, envelope.data, strict=False)
    if (data is None or _may_be_lax(envelope.data)) and not _is_json(envelope.data):
        return Buried(record, "undecodable", "/data: not JSON")
    kind, subject = subject_of(envelope.type, envelope.id, data)
    return Incoming(record, envelope, data, kind, subject, _hash(envelope))


def _may_be_lax(data: bytes) -> bool:
    """Models pass over NaN and infinities in fields that they do not know; no JSON has them."""
    return b"NaN" in data or b"Infinity" in data


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def _hash(envelope: Envelope) -> bytes:
    given: datetime | None = envelope.occurred_at if envelope.time_quality == "given" else None
    return body_hash(envelope.type, given, envelope.sequence, envelope.data)


def kept_of(incoming: Incoming) -> Kept | None:
    """The event as it will be read back; `None` for a type that the fold does not know."""
    envelope = incoming.envelope
    if incoming.data is None:
        return None
    event = FoldEvent(
        incoming.subject,
        envelope.type,
        envelope.source,
        envelope.id,
        envelope.occurred_at,
        envelope.recorded_at,
        envelope.sequence,
        incoming.data,
        envelope.origin == "reconcile",
    )
    return Kept(
        envelope.tenant_id,
        incoming.kind,
        event,
        envelope.data,
        envelope.origin,
        envelope.correlation_id,
    )
