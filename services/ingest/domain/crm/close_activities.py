"""Close's calls, e-mails, meetings and notes, each logged once: when it has taken place."""

from collections.abc import Iterable
from typing import Any

from services.ingest.domain.crm.bodies import Told
from services.ingest.domain.crm.close_entry import Entry
from services.ingest.domain.crm.fields import ident
from services.ingest.domain.crm.times import iso

KINDS = {
    "activity.call": "call",
    "activity.email": "email",
    "activity.meeting": "meeting",
    "activity.note": "note",
}
_DIRECTIONS = {
    "outbound": "outbound", "outgoing": "outbound", "inbound": "inbound", "incoming": "inbound",
}  # fmt: skip
_NOT_SENT = ("draft", "scheduled", "outbox", "error")
_AHEAD, _OFF = ("upcoming", "in-progress"), ("canceled", "declined-by-lead", "declined-by-org")


def told(entry: Entry) -> Iterable[Told]:
    type_ = _meeting(entry) if entry.kind == "activity.meeting" else _done(entry)
    data = _data(entry)
    if type_ is None or not data.keys() & {"deal_id", "account_id"}:
        return ()
    if type_ != "activity.scheduled":
        data.pop("scheduled_for", None)
    return [entry.draft.event(type_, data)]


def _done(entry: Entry) -> str | None:
    status = entry.data.get("status") if entry.kind == "activity.email" else None
    if entry.action == "created" and status not in _NOT_SENT:
        return "activity.logged"
    if entry.action == "updated" and status == "sent" and entry.before.get("status") in _NOT_SENT:
        return "activity.logged"
    return None


def _meeting(entry: Entry) -> str | None:
    status = entry.data.get("status")
    match entry.action:
        case "deleted":
            return None if status == "completed" else "activity.cancelled"
        case "created" if status not in (*_AHEAD, *_OFF):
            return "activity.logged"
        case "updated" if not entry.changed & {"status", "starts_at"}:
            return None
        case "created" | "updated" if status in _AHEAD:
            return "activity.scheduled"
        case "updated" if status == "completed" and "status" in entry.changed:
            return "activity.completed"
        case "updated" if status in _OFF:
            return "activity.cancelled"
    return None


def _data(entry: Entry) -> dict[str, Any]:
    data, connection = entry.data, entry.draft.connection
    deal_id, starts = ident(data.get("opportunity_id")), iso(data.get("starts_at"))
    given = {
        "activity_id": entry.object_id,
        "deal_id": None if deal_id is None else connection.deal(deal_id),
        "account_id": entry.lead_id,
        "kind": KINDS[entry.kind],
        "direction": _DIRECTIONS.get(str(data.get("direction"))),
        "actor_id": ident(data.get("user_id")) or entry.draft.actor,
        "scheduled_for": None if starts is None else starts.isoformat(),
        "automated": True if data.get("sequence_id") or data.get("bulk_email_id") else None,
    }
    return {name: value for name, value in given.items() if value is not None}
