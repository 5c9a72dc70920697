"""Deliveries as they are recorded: redacted, with the events that they made."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from libs.common.contracts.cloudevents import IncomingEvent
from libs.common.contracts.errors import ContractViolation
from services.ingest.domain import letters
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.model import Delivery, Translation
from services.ingest.domain.decoding import decode
from services.ingest.domain.pseudonyms import Pseudonyms
from services.ingest.domain.redaction import Redaction, is_id, looks_dialled
from services.ingest.domain.soap_redaction import redacted_xml

LARGEST = 64 * 1024
"""Bytes of a redacted body that is kept."""
Verdict = Literal["accepted", "duplicate", "rejected", "unreadable"]
_BETWEEN = re.compile(r"[-/:.|_]")
"""Mappings put ids together from several."""
_PLACES = ("stage_id", "from_stage_id", "pipeline_id", "from_pipeline_id")


@dataclass(frozen=True, slots=True)
class Taken:
    """A proven delivery, what it was translated to, and the verdict on each of its events."""

    live: Live
    delivery: Delivery
    at: datetime
    told: Translation | None
    """`None` if nobody could read it."""
    statuses: Sequence[str] = ()

    @property
    def verdict(self) -> Verdict:
        if self.told is None:
            return "unreadable"
        if "accepted" in self.statuses:
            return "accepted"
        if self.told.puzzles or "rejected" in self.statuses:
            return "rejected"
        return "duplicate" if self.statuses else "accepted"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is kept of it. `body` is empty if it could not be redacted, or is too large."""

    verdict: Verdict
    headers: Mapping[str, str]
    body: str | None
    events: str
    """A JSON list."""


def recorded(taken: Taken, key: bytes) -> Recorded:
    """Nothing of the delivery that tells of people, and no secret; `key` is its tenant's."""
    told = taken.told or Translation()
    redaction = Redaction(Pseudonyms(key), frozenset(_words(taken.live, told)))
    events = [
        redaction.of(_event(event, status, taken.at))
        for event, status in zip(told.events, taken.statuses, strict=True)
    ]
    return Recorded(
        taken.verdict,
        {name: content.decode() for name, content in letters.headers(taken.live, taken.delivery)},
        _body(taken, redaction),
        _hidden(taken, json.dumps(events)),
    )


def _body(taken: Taken, redaction: Redaction) -> str | None:
    body = taken.delivery.body
    if taken.told is None:
        return None
    if taken.live.kind == "salesforce_outbound" and not body.startswith(b"{"):
        text = redacted_xml(body, redaction)
    else:
        text = _json(body, redaction)
    return None if text is None or len(text) > LARGEST else _hidden(taken, text)


def _json(body: bytes, redaction: Redaction) -> str | None:
    try:
        return json.dumps(redaction.of(decode(body)), separators=(",", ":"))
    except (ContractViolation, RecursionError):
        return None


def _hidden(taken: Taken, text: str) -> str:
    return letters.without(text.encode(), taken.live.connection.secrets).decode()


def _event(event: IncomingEvent, status: str, at: datetime) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "time": (event.time or at).isoformat(),
        "status": status,
        "data": event.data,
    }


def _words(live: Live, told: Translation) -> Iterator[str]:
    """The vendor's and our words for places, and ids, as the delivery tells of them."""
    connection = live.connection
    for vendors in (connection.stage_map, connection.pipeline_map, connection.field_map):
        yield from _harmless([*vendors, *vendors.values()])
    for event in told.events:
        ids = [event.id or "", *_ids(event.data)]
        bare = [one.removeprefix(connection.id_prefix) for one in ids]
        yield from filter(is_id, [*ids, *bare, *_BETWEEN.split(event.id or "")])
        yield from _harmless(_places(event.data))
    yield from filter(is_id, (one.record_id for one in told.refreshes))


def _harmless(texts: Iterable[str]) -> Iterator[str]:
    return (text for text in texts if "@" not in text and not looks_dialled(text))


def _places(data: Any) -> list[str]:
    held = [data.get(name) for name in _PLACES] if isinstance(data, dict) else []
    return [one for one in held if isinstance(one, str)]


def _ids(data: Any) -> Iterator[str]:
    """Texts of fields whose name says that they are ids, at the top and in `changes`."""
    if not isinstance(data, dict):
        return
    for name, value in data.items():
        if name in ("changes", "previous"):
            yield from _ids(value)
        elif name.endswith(("_id", "_ids")):
            yield from (one for one in _listed(value) if isinstance(one, str))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
