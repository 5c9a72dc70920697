"""CloudEvents 1.0 as senders write them: structured and binary mode, to one incoming event.

Lenient where a CRM may be, and exact about the rest: `id`, `time` and `specversion` may be missing,
unknown extensions are dropped, but what is given has to be right. All faults of an event are
reported at once.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import unquote

from libs.common.contracts.errors import ContractViolation, Violation, pointer
from libs.common.contracts.values import (
    clean_text,
    instant_text,
    json_fault,
    sequence_number,
    utc_in_range,
)

MAX_ID = 200
MAX_TYPE = 200
MAX_SOURCE = 500
MAX_SUBJECT = 500

_T = TypeVar("_T")
_SPELLED = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
_JSON_TYPE = re.compile(r"\s*application/([\w.!#$&^+-]+\+)?json\s*(;.*)?", re.I | re.S | re.ASCII)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_BINARY_ATTRIBUTES = (
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "subject",
    "sequence",
    "correlationid",
    "recordedtime",
)


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """An event as its sender gave it; `data` is decoded JSON, instants are UTC.

    `id` and `time` are `None` where the sender has none: the receiver derives them.
    """

    id: str | None
    source: str
    type: str
    time: datetime | None
    subject: str | None
    sequence: int | None
    data: Any
    correlation_id: str | None = None
    traceparent: str | None = None
    recorded_time: datetime | None = None


def from_structured(obj: Any) -> IncomingEvent:
    """An event in structured mode (decoded JSON); raises `ContractViolation`."""
    if not isinstance(obj, Mapping):
        raise ContractViolation(Violation("invalid_field", "", "an event must be a JSON object"))
    reader = _Reader(obj, lambda name: pointer((name,)))
    if obj.get("data_base64") is not None:
        reader.fault("invalid_field", "data_base64", "binary data is not taken; send JSON in data")
    reader.optional("datacontenttype", _json_content_type)
    return _incoming(reader, obj.get("data"))


def from_binary(headers: Mapping[str, str], data: Any) -> IncomingEvent:
    """An event in binary mode: `ce-*` headers (any case) and the decoded JSON body."""
    lower = {name.lower(): value for name, value in headers.items()}
    given = {name: lower.get(f"ce-{name}") for name in _BINARY_ATTRIBUTES}
    attributes = {name: value for name, value in given.items() if value is not None}
    if "traceparent" in lower:
        attributes["traceparent"] = lower["traceparent"]
    reader = _Reader(attributes, lambda name: pointer(("headers", f"ce-{name}")), _unquoted)
    return _incoming(reader, data)


def check(event: IncomingEvent) -> None:
    """What was not read from CloudEvents must hold to the same limits; raises
    `ContractViolation`."""
    given = {"id": event.id, "source": event.source, "type": event.type, "subject": event.subject}
    reader = _Reader(given, lambda name: pointer((name,)))
    reader.optional("id", _id)
    reader.required("source", _source)
    reader.required("type", _type)
    reader.optional("subject", _subject)
    if faults := [*reader.faults, *_data_faults(event.data)]:
        raise ContractViolation(*faults)


def canonical(data: Any) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces, UTF-8."""
    return _SPELLED.encode(data).encode()


def body_hash(
    type: str,
    time_given: datetime | None,
    sequence: int | None,
    data: bytes,
) -> bytes:
    """What tells a repetition of an id from another event under the same id.

    `time_given` is `None` where the source gave none: a receipt time is no part of the body.
    """
    time = None if time_given is None else time_given.astimezone(UTC).isoformat()
    return hashlib.sha256(canonical([type, time, sequence]) + b"\n" + data).digest()


class _Reader:
    """Reads attributes one by one and remembers every fault."""

    def __init__(
        self,
        raw: Mapping[str, Any],
        at: Callable[[str], str],
        decode: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        self._raw, self._at, self._decode = raw, at, decode
        self.faults: list[Violation] = []

    def optional(self, name: str, read: Callable[[Any], _T]) -> _T | None:
        value = self._raw.get(name)
        if value is None:
            return None
        try:
            return read(self._decode(value))
        except ValueError as error:
            self.fault("invalid_field", name, str(error))
            return None

    def required(self, name: str, read: Callable[[Any], str]) -> str:
        if self._raw.get(name) is None:
            self.fault("missing_field", name, "is required")
            return ""
        return self.optional(name, read) or ""

    def tolerated(self, name: str, read: Callable[[Any], _T]) -> _T | None:
        """An attribute that only helps operators: rubbish is dropped."""
        value = self._raw.get(name)
        try:
            return None if value is None else read(self._decode(value))
        except ValueError:
            return None

    def fault(self, code: str, name: str, detail: str) -> None:
        self.faults.append(Violation(code, self._at(name), detail))


def _incoming(reader: _Reader, data: Any) -> IncomingEvent:
    reader.optional("specversion", _version)
    event = IncomingEvent(
        id=reader.optional("id", _id),
        source=reader.required("source", _source),
        type=reader.required("type", _type),
        time=reader.optional("time", _instant),
        subject=reader.optional("subject", _subject),
        sequence=reader.optional("sequence", sequence_number),
        data=data,
        correlation_id=reader.tolerated("correlationid", _id),
        traceparent=reader.tolerated("traceparent", _traceparent),
        recorded_time=reader.optional("recordedtime", _instant),
    )
    faults = [*reader.faults, *_data_faults(data)]
    if faults:
        raise ContractViolation(*faults)
    return event


def _data_faults(data: Any) -> list[Violation]:
    fault = json_fault(data)
    if fault is None:
        return []
    path, reason = fault
    return [Violation("invalid_field", pointer(("data", *path)), reason)]


def _text(limit: int) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise ValueError("must be a text that is not empty")
        if len(value) > limit:
            raise ValueError(f"must have at most {limit} characters")
        return clean_text(value)

    return read


_id, _source, _type, _subject = map(_text, (MAX_ID, MAX_SOURCE, MAX_TYPE, MAX_SUBJECT))


def _unquoted(value: str) -> str:
    """Percent-decoding that never makes one text of two, as a replacement character would."""
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("must be UTF-8 where it is percent-encoded") from None


def _version(value: Any) -> str:
    if value != "1.0":
        raise ValueError('must be "1.0"')
    return "1.0"


def _instant(value: Any) -> datetime:
    return utc_in_range(instant_text(value))


def _traceparent(value: Any) -> str:
    if not isinstance(value, str) or not _TRACEPARENT.fullmatch(value):
        raise ValueError("must be a W3C trace parent")
    return value


def _json_content_type(value: Any) -> str:
    if not isinstance(value, str) or not _JSON_TYPE.fullmatch(value):
        raise ValueError("must be JSON, such as application/json")
    return value
