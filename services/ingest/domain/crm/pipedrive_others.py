"""Pipedrive's activities, organizations and users."""

from collections.abc import Iterable, Mapping
from typing import Any

from libs.common.contracts.values import instant_text, utc_in_range
from services.ingest.domain.crm.bodies import Told
from services.ingest.domain.crm.fields import ident
from services.ingest.domain.crm.pipedrive_notice import Notice, flat

_KINDS = {
    "call": "call", "email": "email", "meeting": "meeting", "lunch": "meeting", "task": "task",
    "deadline": "task", "visit": "visit", "demo": "demo", "note": "note", "quote": "quote",
}  # fmt: skip
_DONE = (True, "1", "true")
_FLAGS = {"0": False, "1": True}


def activity(notice: Notice) -> Iterable[Told]:
    type_ = _activity_type(notice)
    data = _activity(notice)
    if type_ is None or not data.keys() & {"deal_id", "lead_id", "account_id"}:
        return ()
    if type_ != "activity.scheduled":
        data.pop("scheduled_for", None)
    return [notice.draft.event(type_, data)]


def _activity_type(notice: Notice) -> str | None:
    """An edit of what is done already is nothing new; one of what is planned plans it anew."""
    done = notice.fields.get("done") in _DONE
    match notice.action:
        case "create":
            return "activity.logged" if done else "activity.scheduled"
        case "change" if not done:
            return "activity.scheduled"
        case "change" if "done" in notice.before:
            return "activity.completed"
        case "delete" if not done:
            return "activity.cancelled"
    return None


def _activity(notice: Notice) -> dict[str, Any]:
    record, connection = notice.fields, notice.draft.connection
    deal_id = ident(record.get("deal_id"))
    owner = ident(record.get("owner_id")) or ident(record.get("user_id"))
    given = {
        "activity_id": notice.id,
        "deal_id": None if deal_id is None else connection.deal(deal_id),
        "lead_id": ident(record.get("lead_id")),
        "account_id": ident(record.get("org_id")),
        "kind": _KINDS.get(str(record.get("type")), "other"),
        "actor_id": owner or notice.draft.actor,
        "scheduled_for": _due(record),
    }
    return {name: value for name, value in given.items() if value is not None}


def _due(record: Mapping[str, Any]) -> str | None:
    """UTC. A day without a time is due by its end."""
    time = record.get("due_time") or "23:59:59"
    spelled = f"{record.get('due_date')}T{time}{':00' if len(str(time)) == 5 else ''}Z"
    try:
        return utc_in_range(instant_text(spelled)).isoformat()
    except ValueError:
        return None


def organization(notice: Notice) -> Iterable[Told]:
    if notice.action not in ("create", "change"):
        return ()
    record = notice.fields
    owner = ident(record.get("owner_id"))
    data = {"account_id": notice.id, "name": record.get("name"), "owner_id": owner}
    return [notice.draft.event("account.upserted", _known(data))]


def user(notice: Notice) -> Iterable[Told]:
    """v1 sends a list of users."""
    if isinstance(notice.record, list):
        return [_user(notice, flat(one), f"/{n}") for n, one in enumerate(notice.record)]
    return [_user(notice, notice.fields, "")]


def _user(notice: Notice, record: Mapping[str, Any], suffix: str) -> Told:
    data = {
        "user_id": ident(record.get("id")) or notice.id,
        "name": record.get("name"),
        "email": record.get("email"),
        "timezone": record.get("timezone_name"),
        "active": False if notice.action == "delete" else _flag(record.get("active_flag")),
    }
    return notice.draft.event("user.upserted", _known(data), suffix)


def _flag(value: Any) -> Any:
    """Version 1 writes 0 and 1 at times; what is no flag at all is for the catalogue to refuse."""
    return _FLAGS.get(str(value), value)


def _known(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}
