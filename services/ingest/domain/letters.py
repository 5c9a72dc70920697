"""Parts of deliveries that make no event, as dead letters: what came, whence, without secrets."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.attempts import steady
from services.ingest.domain.crm.deal_named import deal_of
from services.ingest.domain.crm.model import Delivery, Puzzle
from services.ingest.domain.model import Examined, Rejection
from services.ingest.domain.untouched import Untouched

_KEPT = frozenset(
    {
        "content-type", "user-agent", "webhook-id", "webhook-timestamp", "close-sig-timestamp",
        "x-hubspot-request-timestamp", "x-hubspot-signature-version",
        "x-twenty-webhook-timestamp", "x-twenty-webhook-nonce",
    }
)  # fmt: skip
"""Headers that help to understand a delivery; all others may hold what is none of a reader's
business."""
_EVENT = "event"
_LONGEST = 1_000
_HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter to be kept. `named` is what its id follows from, where that is not its body: a
    hash of what every attempt to deliver it tells. `deal_id` is known where what is put aside
    tells it."""

    tenant_id: str
    source: str
    event_id: str | None
    code: str
    detail: str
    headers: Sequence[tuple[str, bytes]]
    body: bytes
    named: str | None = None
    deal_id: str | None = None

    @property
    def digest(self) -> str:
        """What its id follows from."""
        return self.named or sha256(self.body).hexdigest()


def of_puzzles(live: Live, delivery: Delivery, puzzles: Iterable[Puzzle]) -> list[Letter]:
    told, texts = headers(live, delivery), Untouched(live.kind, delivery.body)
    return [_of_puzzle(live, delivery, puzzle, told, texts) for puzzle in puzzles]


def of_rejected(
    live: Live, delivery: Delivery, events: Sequence[IncomingEvent], examined: Sequence[Examined]
) -> list[Letter]:
    """Events of the catalogue that were refused, in the form in which they would have entered."""
    told = headers(live, delivery)
    return [
        _letter(
            live,
            rejection.event_id,
            (rejection.code, rejection.detail),
            [*told, *_attributes(event)],
            written(event.data, delivery),
        )
        for event, rejection in zip(events, examined, strict=True)
        if isinstance(rejection, Rejection)
    ]


def _of_puzzle(
    live: Live,
    delivery: Delivery,
    puzzle: Puzzle,
    told: Sequence[tuple[str, bytes]],
    texts: Untouched,
) -> Letter:
    why, secrets = (puzzle.code, puzzle.detail), live.connection.secrets
    body = _kept(texts.at(puzzle.place), written(puzzle.raw, delivery), secrets)
    named = without(written(steady(live.kind, puzzle.raw), delivery), secrets)
    deal_id = deal_of(live.kind, puzzle, delivery, live.connection)
    harmless = deal_id is not None and without(deal_id.encode(), secrets) == deal_id.encode()
    letter = _letter(live, None, why, told, body)
    told_deal = deal_id if harmless else None
    return replace(letter, named=sha256(named).hexdigest(), deal_id=told_deal)


def _kept(text: bytes | None, spelled: bytes, secrets: Iterable[str]) -> bytes:
    """The text as it came; but a secret may stand in it in many spellings, in `spelled` in one."""
    return spelled if text is None or without(spelled, secrets) != spelled else text


def _letter(
    live: Live,
    event_id: str | None,
    why: tuple[str, str],
    headers: Sequence[tuple[str, bytes]],
    body: bytes,
) -> Letter:
    secrets = live.connection.secrets
    source = live.connection.source
    code, detail = why
    shown = without(detail.encode("utf-8", "backslashreplace"), secrets).decode(errors="replace")
    return Letter(
        live.tenant_id,
        source,
        event_id,
        code,
        shown.replace("\x00", "\\x00")[:_LONGEST],
        [(name, without(content, secrets)) for name, content in headers],
        without(body, secrets),
    )


def headers(live: Live, delivery: Delivery) -> list[tuple[str, bytes]]:
    held = [(name, delivery.headers[name]) for name in sorted(_KEPT & delivery.headers.keys())]
    if _EVENT in delivery.query:
        held.append(("query-event", delivery.query[_EVENT]))
    told = [(name, text[:_LONGEST].encode("utf-8", "backslashreplace")) for name, text in held]
    return [("connection-kind", live.kind.encode()), *told]


def _attributes(event: IncomingEvent) -> list[tuple[str, bytes]]:
    time = None if event.time is None else event.time.isoformat()
    named: Mapping[str, Any] = {
        "ce_type": event.type, "ce_source": event.source, "ce_id": event.id, "ce_time": time,
        "ce_sequence": event.sequence,
    }  # fmt: skip
    return [
        (name, str(value)[:_LONGEST].encode("utf-8", "backslashreplace"))
        for name, value in named.items()
        if value is not None
    ]


def written(raw: Any, delivery: Delivery) -> bytes:
    """The part as JSON; of one that nests too deep to be written, the whole delivery."""
    if isinstance(raw, bytes):
        return raw
    try:
        return json.dumps(raw, separators=(",", ":"), default=repr).encode()
    except RecursionError:
        return delivery.body


def without(content: bytes, secrets: Iterable[str]) -> bytes:
    """A secret that a CRM repeats in what it sends is shown to nobody."""
    for secret in secrets:
        for spelled in {secret, json.dumps(secret)[1:-1]}:
            if len(spelled) > 3:
                content = re.sub(re.escape(spelled.encode()), _HIDDEN.encode(), content)
    return content
