"""From an incoming event to a candidate or a rejection: validated once, spelled canonically."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from libs.common.contracts import catalogue
from libs.common.contracts.cloudevents import (
    MAX_ID,
    IncomingEvent,
    body_hash,
    canonical,
    check,
    from_binary,
    from_structured,
)
from libs.common.contracts.envelope import Envelope, TimeQuality
from libs.common.contracts.errors import ContractViolation, Violation
from services.ingest.domain.model import (
    FUTURE,
    TOO_LARGE,
    UNKNOWN_TYPE,
    Candidate,
    Examined,
    Receipt,
    Rejection,
)

MAX_EVENT_BYTES = 256 * 1024
FUTURE_TOLERANCE = timedelta(hours=24)
TIME_QUALITY = "timequality"
"""Extension of exported events: `assumed` says that `time` is a receipt time, not the source's."""


def examine_structured(obj: Any, receipt: Receipt) -> Examined:
    """An event in structured mode, as decoded JSON."""
    try:
        event = from_structured(obj)
        return _candidate(event, receipt, assumed=_says_assumed(obj))
    except ContractViolation as error:
        return Rejection(_printable_id(obj), error.violations, _told_type(obj))


def examine_binary(headers: Mapping[str, str], data: Any, receipt: Receipt) -> Examined:
    """An event in binary mode: attributes in headers, `data` decoded."""
    try:
        return _candidate(from_binary(headers, data), receipt, assumed=False)
    except ContractViolation as error:
        event_id = _printable_id({"id": headers.get("ce-id")})
        return Rejection(event_id, error.violations, headers.get("ce-type"))


def examine_incoming(event: IncomingEvent, receipt: Receipt) -> Examined:
    """An event that a connector made of a CRM's delivery."""
    try:
        check(event)
        return _candidate(event, receipt, assumed=False)
    except ContractViolation as error:
        return Rejection(_printable_id({"id": event.id}), error.violations, event.type)


def too_large(event_id: str | None, detail: str) -> Rejection:
    return Rejection(event_id, (Violation(TOO_LARGE, "", detail),))


def _candidate(event: IncomingEvent, receipt: Receipt, *, assumed: bool) -> Candidate:
    data = canonical(event.data)
    if len(data) > MAX_EVENT_BYTES:
        detail = f"an event must not exceed {MAX_EVENT_BYTES} bytes"
        raise ContractViolation(Violation(TOO_LARGE, "", detail))
    parsed = catalogue.parse(event.type, event.data, strict=True)
    event_id = event.id or _weak_id(event, data)
    _, subject_id = catalogue.subject_of(event.type, event_id, parsed)
    source_time = None if assumed else event.time
    quality: TimeQuality = "assumed" if source_time is None else "given"
    envelope = _envelope(event, receipt, event_id, data, quality)
    return Candidate(
        envelope=envelope,
        body_hash=body_hash(event.type, source_time, event.sequence, data),
        log_key=catalogue.log_key(receipt.tenant_id, subject_id),
        code=_flag(envelope, receipt, known=parsed is not None),
    )


def _envelope(
    event: IncomingEvent, receipt: Receipt, event_id: str, data: bytes, quality: TimeQuality
) -> Envelope:
    occurred_at = event.time or receipt.received_at
    return Envelope(
        tenant_id=receipt.tenant_id,
        source=event.source,
        id=event_id,
        type=event.type,
        occurred_at=occurred_at,
        recorded_at=_recorded_at(event, occurred_at, receipt),
        data=data,
        sequence=event.sequence,
        subject=event.subject,
        origin=receipt.origin,
        time_quality=quality,
        correlation_id=event.correlation_id,
        traceparent=event.traceparent or receipt.traceparent,
    )


def _recorded_at(event: IncomingEvent, occurred_at: datetime, receipt: Receipt) -> datetime:
    """Nothing is known before it is told, so a vouched time never exceeds the receipt's."""
    if receipt.recorded == "now":
        return receipt.received_at
    return min(event.recorded_time or occurred_at, receipt.received_at)


def _flag(envelope: Envelope, receipt: Receipt, *, known: bool) -> str | None:
    if not known:
        return UNKNOWN_TYPE
    return FUTURE if envelope.occurred_at > receipt.received_at + FUTURE_TOLERANCE else None


def _weak_id(event: IncomingEvent, data: bytes) -> str:
    """The id of an event whose source has none: a repetition of it gets the same one.

    Two events alike in all of this count as one; that is why such ids are called weak.
    """
    time = None if event.time is None else event.time.isoformat()
    spelled = canonical([event.source, event.type, time, event.subject, event.sequence])
    return "weak-" + sha256(spelled + b"\n" + data).hexdigest()


def _says_assumed(obj: Any) -> bool:
    return isinstance(obj, Mapping) and obj.get(TIME_QUALITY) == "assumed"


def _told_type(obj: Any) -> str | None:
    given = obj.get("type") if isinstance(obj, Mapping) else None
    return given if isinstance(given, str) else None


def _printable_id(obj: Any) -> str | None:
    """The id to name a refused event by; what cannot be one is not repeated to the sender."""
    given = obj.get("id") if isinstance(obj, Mapping) else None
    if not isinstance(given, str) or len(given) > MAX_ID or not given.isprintable():
        return None
    return given
