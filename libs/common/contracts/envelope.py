"""The envelope: CloudEvents 1.0 binary mode, one header per attribute, `data` as raw JSON bytes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Literal, cast, get_args

from libs.common.contracts.errors import ContractViolation, Violation
from libs.common.contracts.values import clean_text, instant_text, sequence_number, utc_in_range

Headers = tuple[tuple[str, bytes], ...]
Origin = Literal["live", "backfill", "reconcile"]
TimeQuality = Literal["given", "assumed"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """An accepted event. Instants are UTC; `data` is canonical JSON.

    `recorded_at` is when Headway learned it; `time_quality` is `assumed` where the source gave no
    time and the receipt time stands in.
    """

    tenant_id: str
    source: str
    id: str
    type: str
    occurred_at: datetime
    recorded_at: datetime
    data: bytes
    sequence: int | None = None
    subject: str | None = None
    origin: Origin = "live"
    time_quality: TimeQuality = "given"
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None


_HEADER_OF = {
    "tenant_id": "ce_tenantid",
    "source": "ce_source",
    "id": "ce_id",
    "type": "ce_type",
    "occurred_at": "ce_time",
    "recorded_at": "ce_recordedtime",
    "sequence": "ce_sequence",
    "subject": "ce_subject",
    "origin": "ce_origin",
    "time_quality": "ce_timequality",
    "correlation_id": "ce_correlationid",
    "causation_id": "ce_causationid",
    "traceparent": "traceparent",
}
_values = attrgetter(*_HEADER_OF)
_REQUIRED = ("tenant_id", "source", "id", "type", "occurred_at", "recorded_at")
_FIXED: Headers = (("ce_specversion", b"1.0"), ("content-type", b"application/json"))


def to_headers(envelope: Envelope) -> Headers:
    """Headers of the record that carries `envelope.data` as its value."""
    named = zip(_HEADER_OF.values(), _values(envelope), strict=True)
    return _FIXED + tuple((header, _text(value)) for header, value in named if value is not None)


def _text(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return (value.isoformat() if isinstance(value, datetime) else str(value)).encode()


def from_headers(headers: Iterable[tuple[str, bytes]], value: bytes | None) -> Envelope:
    """The envelope of a record; raises `ContractViolation` (`undecodable`) on rubbish."""
    try:
        raw = {name: clean_text(content.decode()) for name, content in headers}
    except UnicodeDecodeError:
        raise undecodable("/headers", "header is not UTF-8") from None
    except ValueError as error:
        raise undecodable("/headers", f"header {error}") from None
    fields = {name: raw[header] for name, header in _HEADER_OF.items() if header in raw}
    for name in _REQUIRED:
        if not fields.get(name):
            raise undecodable(f"/headers/{_HEADER_OF[name]}", "header is missing")
    if value is None:
        raise undecodable("/data", "record has no value")
    return _build(fields, value)


def _build(fields: dict[str, str], value: bytes) -> Envelope:
    origin = fields.get("origin", "live")
    if origin not in get_args(Origin):
        raise undecodable("/headers/ce_origin", "unknown origin")
    return Envelope(
        tenant_id=fields["tenant_id"],
        source=fields["source"],
        id=fields["id"],
        type=fields["type"],
        occurred_at=_instant(fields["occurred_at"], "ce_time"),
        recorded_at=_instant(fields["recorded_at"], "ce_recordedtime"),
        data=value,
        sequence=_integer(fields.get("sequence")),
        subject=fields.get("subject"),
        origin=cast(Origin, origin),
        time_quality="assumed" if fields.get("time_quality") == "assumed" else "given",
        correlation_id=fields.get("correlation_id"),
        causation_id=fields.get("causation_id"),
        traceparent=fields.get("traceparent"),
    )


def _instant(text: str, header: str) -> datetime:
    try:
        return utc_in_range(instant_text(text))
    except ValueError as error:
        raise undecodable(f"/headers/{header}", str(error)) from None


def _integer(text: str | None) -> int | None:
    try:
        return None if text is None else sequence_number(text)
    except ValueError as error:
        raise undecodable("/headers/ce_sequence", str(error)) from None


def undecodable(pointer: str, detail: str) -> ContractViolation:
    return ContractViolation(Violation("undecodable", pointer, detail))
