"""What both of Salesforce's ways to tell share: its objects, as events of the catalogue."""

from collections.abc import Iterable, Mapping
from typing import Any

from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.crm.bodies import happened
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import changes, ident
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


def outcome(
    deal_id: str, record: Mapping[str, Any], draft: Draft, *, sparse: bool
) -> Iterable[IncomingEvent]:
    """Won or lost, after the move into the stage that says so. Where only what changed is told, a
    deal that was closed and not won is lost; a whole record has to say both."""
    won, closed = (_truth(record.get(name)) for name in OUTCOME)
    if won:
        yield draft.deal("deal.won", deal_id, "/stage/won")
    elif closed and (won is False or sparse):
        yield draft.deal("deal.lost", deal_id, "/stage/lost")


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value))


def activity(
    entity: str, record_id: str, record: Mapping[str, Any], draft: Draft, *, new: bool
) -> IncomingEvent | None:
    """The event of a task or an appointment; `None` where the record names nothing that it is
    about."""
    if not (subject := _subject(record, draft)):
        return None
    done = _truth(record.get("IsClosed")) or record.get("Status") == "Completed"
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
