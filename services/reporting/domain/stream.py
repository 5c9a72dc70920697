"""What a stream tells: its topics, the events that clients get, and how they are spelled."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import orjson

from libs.common.contracts.deals import Watermark
from libs.common.contracts.envelope import Envelope, from_headers, undecodable
from libs.common.contracts.topics import ALERT_EVENTS, DEALS
from libs.common.eventlog.port import Record

Reason = Literal["history_gone", "too_far_behind", "slow_reader", "import"]
"""Why a client is told to read everything again."""
RETRY_MS: Final = 3_000
_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,200}", re.ASCII)
_TENANT = "ce_tenantid"


@dataclass(frozen=True, slots=True)
class StreamTopic:
    """A topic as clients name it, where its records are, and who may read them."""

    name: str
    topic: str
    scope: str


STREAMED: Mapping[str, StreamTopic] = MappingProxyType(
    {
        "deals": StreamTopic("deals", DEALS, "deals:read"),
        "alerts": StreamTopic("alerts", ALERT_EVENTS, "alerts:read"),
    }
)


@dataclass(frozen=True, slots=True)
class Event:
    """One record for its tenant's clients: `data` is a CloudEvent as one line of JSON."""

    topic: str
    partition: int
    offset: int
    type: str
    data: str


def chosen(text: str, _: str = "topics") -> tuple[StreamTopic, ...]:
    """`deals,alerts` as topics, in the order of the table; raises `ValueError`."""
    names = text.split(",")
    for name in names:
        if name not in STREAMED:
            raise ValueError(f"must list topics out of {', '.join(STREAMED)}, such as deals,alerts")
    if len(set(names)) < len(names):
        raise ValueError("names a topic twice")
    return tuple(topic for name, topic in STREAMED.items() if name in names)


def tenant_of(record: Record) -> str | None:
    """Whose record it is: its header, which its key has to confirm."""
    for name, content in record.headers:
        if name == _TENANT:
            own = (record.key or b"").startswith(content + b":")
            return content.decode(errors="replace") if own else None
    return None


def event_of(record: Record, name: str) -> Event | None:
    """What clients get of a record; `None` for watermarks and for what is not live.

    Raises `ContractViolation` for a record that is none of ours.
    """
    envelope = from_headers(record.headers, record.value)
    if envelope.type == Watermark.event_type or envelope.origin != "live":
        return None
    if not _TYPE.fullmatch(envelope.type):
        raise undecodable("/headers/ce_type", "is no name of a type")
    return Event(name, record.partition, record.offset, envelope.type, _cloud_event(envelope))


def _cloud_event(envelope: Envelope) -> str:
    """Structured mode on one line. The value stays as written: its numbers are not read."""
    attributes = {
        "specversion": "1.0",
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "time": envelope.occurred_at,
        "recordedtime": envelope.recorded_at,
        "subject": envelope.subject,
    }
    given = {name: value for name, value in attributes.items() if value is not None}
    head = orjson.dumps(given, option=orjson.OPT_UTC_Z).decode()
    return f'{head[:-1]},"data":{_one_line(envelope.data)}}}'


def _one_line(value: bytes) -> str:
    """JSON without line breaks, which are blanks between its tokens: texts escape theirs."""
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        raise undecodable("/data", "is no JSON") from None
    return value.decode().translate({10: " ", 13: " "})


def told(event: Event, position: str) -> str:
    """An event as server-sent."""
    return f"id: {position}\nevent: {event.type}\ndata: {event.data}\n\n"


def resync(reason: Reason, position: str) -> str:
    """Events are missing from here on back: read the state anew, then go on with this stream."""
    return f'id: {position}\nevent: resync\ndata: {{"reason":"{reason}"}}\n\n'


def opening(position: str) -> str:
    """The first thing told: when to come back, and a place to resume from."""
    return f"retry: {RETRY_MS}\nid: {position}\n\n"


def comment(text: str, position: str) -> str:
    """Not an event; it keeps the connection open and the client's place fresh."""
    return f": {text}\nid: {position}\n\n"
