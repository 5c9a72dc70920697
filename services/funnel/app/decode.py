"""From a record of the log to an event that can be kept; what cannot is buried with its reason."""

from datetime import datetime

import orjson
from libs.common.eventlog.loop import Buried

from libs.common.contracts.catalogue import parse, subject_of
from libs.common.contracts.cloudevents import body_hash
from libs.common.contracts.envelope import Envelope, from_headers
from libs.common.contracts.errors import ContractViolation
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
    texts = (envelope.tenant_id, envelope.source, envelope.id, envelope.type)
    if any("\x00" in text for text in texts):
        return Buried(record, "undecodable", "a header contains U+0000")
    data = parse(envelope.type, envelope.data, strict=False)
    if data is None and not _is_json(envelope.data):
        return Buried(record, "undecodable", "/data: not JSON")
    kind, subject = subject_of(envelope.type, envelope.id, data)
    return Incoming(record, envelope, data, kind, subject, _hash(envelope))


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
    )
    return Kept(
        envelope.tenant_id,
        incoming.kind,
        event,
        envelope.data,
        envelope.origin,
        envelope.correlation_id,
    )
