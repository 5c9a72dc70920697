"""EspoCRM's calls, meetings and tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.ingest.domain.crm.bodies import Told, happened
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import ident
from services.ingest.domain.crm.model import Refresh
from services.ingest.domain.crm.records import named
from services.ingest.domain.crm.times import iso

KINDS = {"Call": "call", "Meeting": "meeting", "Task": "task"}
_DONE, _OFF = ("Held", "Completed"), ("Not Held", "Canceled")
_PARENTS = {"Opportunity": "deal_id", "Account": "account_id", "Lead": "lead_id"}
_TELLING = ("status", "dateStart", "dateEnd")
_DIRECTIONS = {"Outbound": "outbound", "Inbound": "inbound"}


def events(entity: str, action: str, part: Mapping[str, Any], draft: Draft) -> Sequence[Told]:
    """An update names what the activity belongs to only if that changed: else it has to be read."""
    record_id, subject = named(part, "id"), _subject(part, draft)
    if subject and "status" in part:
        data = {"activity_id": record_id, "kind": KINDS[entity], **subject, **_told(entity, part)}
        return [draft.event(_type(action, part.get("status")), data)]
    if action != "create" and any(name in part for name in _TELLING):
        return [Refresh(entity, record_id, "partial")]
    return []


def _subject(part: Mapping[str, Any], draft: Draft) -> dict[str, str]:
    parent, parent_id = ident(part.get("parentType")), ident(part.get("parentId"))
    name = _PARENTS.get(parent or "")
    if name and parent_id:
        return {name: draft.connection.deal(parent_id) if name == "deal_id" else parent_id}
    account_id = ident(part.get("accountId"))
    return {"account_id": account_id} if account_id else {}


def _type(action: str, status: Any) -> str:
    if status in _DONE:
        return "activity.logged" if action == "create" else "activity.completed"
    return "activity.cancelled" if status in _OFF else "activity.scheduled"


def _told(entity: str, part: Mapping[str, Any]) -> dict[str, Any]:
    name = "dateEnd" if entity == "Task" else "dateStart"
    due = happened(name, part.get(name), iso)
    given = {
        "actor_id": ident(part.get("assignedUserId")),
        "direction": _DIRECTIONS.get(str(part.get("direction"))),
        "scheduled_for": due.isoformat() if due else None,
    }
    return {name: value for name, value in given.items() if value is not None}
