"""The four content modes of `POST /v1/events`: from a request's body to judged events."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from enum import Enum
from functools import partial
from typing import Any

from libs.common.contracts.errors import ContractViolation
from libs.common.web.errors import BadRequest, TooLarge, UnsupportedMedia
from services.ingest.domain.batches import decode_delivery
from services.ingest.domain.decoding import decode
from services.ingest.domain.examine import examine_binary, examine_structured
from services.ingest.domain.model import Examined, Receipt, Rejection
from services.ingest.settings import IngestSettings

_BATCH = "application/cloudevents-batch+json"
_STRUCTURED = "application/cloudevents+json"
_REQUIRED = ("ce-id", "ce-source", "ce-type", "ce-specversion")


class Mode(Enum):
    """What the headers say; a plain JSON body may turn out to be one event or a batch."""

    BATCH = "batch"
    STRUCTURED = "structured"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Judged events; `batch` tells whether violations are told with their place in the list."""

    events: Sequence[Examined]
    batch: bool


def mode_of(headers: Mapping[str, str]) -> Mode:
    """The content mode, or 415."""
    media, charset = _media_type(headers.get("content-type", ""))
    if charset.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia(f"charset {charset} is not taken; send UTF-8")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMedia("compressed events are not taken; send a file to /v1/imports")
    if media == _BATCH:
        return Mode.BATCH
    if media == _STRUCTURED:
        return Mode.STRUCTURED
    if not _is_json(media):
        raise UnsupportedMedia("send application/json, or CloudEvents in JSON")
    binary = any(name in headers for name in _REQUIRED)
    return Mode.BINARY if binary else Mode.STRUCTURED


def read_delivery(
    mode: Mode, headers: Mapping[str, str], body: bytes, receipt: Receipt, limits: IngestSettings
) -> Delivery:
    """Decode once and judge each event; 400 or 413 where there is nothing to judge."""
    if mode is Mode.BINARY:
        _limit_event(body, limits)
        data = _decoded(decode, body) if body else None
        return Delivery([examine_binary(headers, data, receipt)], batch=False)
    decoded = _decoded(partial(decode_delivery, limit=limits.max_batch_events), body)
    if isinstance(decoded, list):
        return Delivery(_examine_batch(decoded, receipt, limits), batch=True)
    if mode is Mode.BATCH:
        raise BadRequest("a batch must be a JSON array", code="not_a_batch")
    _limit_event(body, limits)
    return Delivery([examine_structured(decoded, receipt)], batch=False)


def _decoded(read: Callable[[bytes], Any], body: bytes) -> Any:
    """The same reading as for imports: what only one event got wrong is that event's verdict."""
    try:
        return read(body)
    except ContractViolation as error:
        raise BadRequest(error.violations[0].detail, code=error.code) from None


def _examine_batch(
    decoded: Sequence[Any], receipt: Receipt, limits: IngestSettings
) -> Sequence[Examined]:
    if len(decoded) > limits.max_batch_events:
        raise TooLarge(f"a batch must not exceed {limits.max_batch_events} events")
    return [_examine(obj, receipt) for obj in decoded]


def _examine(obj: Any, receipt: Receipt) -> Examined:
    if isinstance(obj, ContractViolation):
        return Rejection(None, obj.violations)
    return examine_structured(obj, receipt)


def _limit_event(body: bytes, limits: IngestSettings) -> None:
    if len(body) > limits.max_event_bytes:
        raise TooLarge(f"an event must not exceed {limits.max_event_bytes} bytes")


def _media_type(value: str) -> tuple[str, str]:
    if value == "application/json":
        return value, "utf-8"
    message = Message()
    message["content-type"] = value.replace("\n", " ").replace("\r", " ")
    charset = message.get_param("charset", "utf-8")
    return (message.get_content_type() if value else "", str(charset))


def _is_json(media: str) -> bool:
    kind, _, name = media.partition("/")
    if media.startswith("application/cloudevents"):
        return False
    return kind == "application" and (name == "json" or name.endswith("+json"))
