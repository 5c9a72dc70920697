"""Leads, accounts, users and teams: what their events say, in two times."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from services.funnel.domain.ledger import Ledger
from services.funnel.domain.model import FoldEvent, JsonObject, Known

KINDS = ("account", "user", "team", "lead")
"""Context entities that have a history of their own."""

_LEAD_STATUS = {
    "lead.created": "new",
    "lead.assigned": "assigned",
    "lead.accepted": "accepted",
    "lead.rejected": "rejected",
    "lead.qualified": "qualified",
    "lead.disqualified": "disqualified",
    "lead.converted": "converted",
}


class ContextSpan(NamedTuple):
    """What holds of an entity over `[valid_from, valid_to)`; `n` counts from 1."""

    n: int
    valid_from: datetime
    valid_to: datetime | None
    data: JsonObject


def describes(event: FoldEvent) -> bool:
    """Whether the event says what an entity is, rather than what was done with it."""
    return event.type in _LEAD_STATUS or event.type.endswith(".upserted")


def project_context(events: Sequence[FoldEvent]) -> tuple[Known[ContextSpan], ...]:
    """The two-time rows of one entity, from the set of its events."""
    arrivals: dict[datetime, list[FoldEvent]] = defaultdict(list)
    for event in filter(describes, events):
        arrivals[event.recorded_at].append(event)
    ledger, known = Ledger[ContextSpan](), list[FoldEvent]()
    for known_at in sorted(arrivals):
        known.extend(arrivals[known_at])
        ledger.update(_spans(sorted(known, key=lambda e: e.order)), 0, known_at)
    return ledger.rows()


def _spans(events: Sequence[FoldEvent]) -> list[ContextSpan]:
    starts: list[tuple[datetime, JsonObject]] = []
    data = JsonObject()
    for event in events:
        data = JsonObject(data | _said(event))
        if starts and starts[-1][0] == event.occurred_at:
            starts.pop()
        if not starts or starts[-1][1] != data:
            starts.append((event.occurred_at, data))
    ends = [at for at, _ in starts[1:]] + [None]
    return [
        ContextSpan(n, at, end, held)
        for n, ((at, held), end) in enumerate(zip(starts, ends, strict=True), 1)
    ]


def _said(event: FoldEvent) -> dict[str, Any]:
    """What an event adds; what it leaves out stays as it was."""
    said = event.data.model_dump(mode="json", exclude_none=True)
    status = _LEAD_STATUS.get(event.type)
    if status is None:
        return said
    at = event.occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return said | {"status": status, f"{status}_at": at}
