"""What both of Salesforce's ways to tell share: its objects, as events of the catalogue."""

from collections.abc import Mapping
from typing import Any

from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.crm.bodies import happened
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import changes, ident
from services.ingest.domain.crm.salesforce_fields import Fields
from services.ingest.domain.crm.times import MS, epoch, iso

OPPORTUNITY = {
    "Name": "name", "StageName": "stage_id", "RecordTypeId": "pipeline_id", "Amount": "amount",
    "CurrencyIsoCode": "currency", "CloseDate": "expected_close_date", "OwnerId": "owner_id",
    "AccountId": "account_id", "LeadSource": "source",
}  # fmt: skip
ACCOUNT = {
    "Name": "name", "ParentId": "parent_id", "Industry": "industry", "OwnerId": "owner_id",
}  # fmt: skip
OUTCOME = ("IsWon", "IsClosed")
ACTIVITIES = ("Task", "Event")
TELLING = ("Status", "IsClosed", "StartDateTime")
"""Fields that tell how far an activity is."""
ABOUT = ("WhatId", "AccountId", "WhoId")
_SUBJECTS = {"006": "deal_id", "001": "account_id", "00Q": "lead_id"}
"""An id of Salesforce begins with what it is the id of."""
_SUBTYPES = {"Call": "call", "Email": "email"}
_DIRECTIONS = {"Inbound": "inbound", "Outbound": "outbound", "Internal": "internal"}


def fields(record: Mapping[str, Any], draft: Draft) -> dict[str, Any]:
    return changes(record, OPPORTUNITY, draft.connection)


def whole(
    deal_id: str, record: Mapping[str, Any], ours: Mapping[str, Any], draft: Draft
) -> list[IncomingEvent]:
    """What a whole record tells of a deal that may be known: `ours` are its fields, then its end.

    The stage of a closed deal is left out where its end is told: whoever has not published it as a
    closing one would see the deal opened again, and closed again, by each edit.
    """
    ended = end(deal_id, record, draft)
    given = {name: value for name, value in ours.items() if not ended or name != "stage_id"}
    return [*draft.changed(deal_id, given), *ended]


def end(deal_id: str, record: Mapping[str, Any], draft: Draft) -> list[IncomingEvent]:
    """How a whole record ended: it has to say both, that it is closed and whether it is won."""
    won, closed = truth(record, "IsWon"), truth(record, "IsClosed")
    lost = closed is True and won is False
    return [_ended(deal_id, draft, won=bool(won))] if won or lost else []


def end_told(deal_id: str, fields: Fields, draft: Draft) -> list[IncomingEvent]:
    """How a deal ended of which only what changed is told, after the move that says so.

    Closed and not won is lost. So is what is no longer won and was moved, while it stayed closed:
    what was won was closed.
    """
    won, closed = truth(fields.values, "IsWon"), truth(fields.values, "IsClosed")
    if won:
        return [_ended(deal_id, draft, won=True)]
    lost = closed and (won is False or fields.stayed("IsWon"))
    unwon = won is False and not fields.stayed("IsWon") and fields.stayed("IsClosed")
    moved = fields.values.get("StageName") is not None
    return [_ended(deal_id, draft, won=False)] if lost or (unwon and moved) else []


def _ended(deal_id: str, draft: Draft, *, won: bool) -> IncomingEvent:
    """Its id comes after that of the move."""
    name = "won" if won else "lost"
    return draft.deal(f"deal.{name}", deal_id, f"/stage/{name}")


def truth(record: Mapping[str, Any], name: str) -> bool | None:
    """A boolean, which SOAP spells as a text; `None` where it is not told."""
    value = record.get(name)
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value))


def activity(
    entity: str, record_id: str, record: Mapping[str, Any], draft: Draft, *, new: bool
) -> IncomingEvent | None:
    """The event of a task or an appointment; `None` where the record names nothing that it is
    about."""
    if not (subject := _subject(record, draft)):
        return None
    done = truth(record, "IsClosed") or record.get("Status") == "Completed"
    finished = "activity.logged" if new else "activity.completed"
    subtype = _SUBTYPES.get(str(record.get("TaskSubtype")), "task")
    start = happened("StartDateTime", record.get("StartDateTime"), at)
    given = {
        "actor_id": ident(record.get("OwnerId")),
        "direction": _DIRECTIONS.get(str(record.get("CallType"))),
        "scheduled_for": start.isoformat() if start else None,
    }
    told = {name: value for name, value in given.items() if value is not None}
    kind = "meeting" if entity == "Event" else subtype
    data = {"activity_id": record_id, "kind": kind, **subject, **told}
    return draft.event(finished if done else "activity.scheduled", data)


def _subject(record: Mapping[str, Any], draft: Draft) -> dict[str, str]:
    for name in ABOUT:
        given = ident(record.get(name)) or ""
        if of := _SUBJECTS.get(given[:3]):
            return {of: draft.connection.deal(given) if of == "deal_id" else given}
    return {}


def at(value: Any) -> Any:
    """Instants are texts in JSON and SOAP, milliseconds where a relay has decoded Avro."""
    return iso(value) or epoch(value, MS)
