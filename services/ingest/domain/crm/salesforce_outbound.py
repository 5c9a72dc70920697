"""Salesforce Outbound Messages: the latest state of records, without a signature."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.crm import salesforce
from services.ingest.domain.crm.bodies import Puzzling, digest, gathered, happened, read
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import ident
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Refused,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.records import account, named
from services.ingest.domain.crm.salesforce_soap import parse, reply
from services.ingest.domain.crm.signing import matching, same
from services.ingest.domain.crm.times import iso

__all__ = ["CONNECTOR", "reply", "translate", "verify"]

_ORGANIZATION = re.compile(rb"<(?:\w+:)?OrganizationId>\s*(\w{15,18})\s*<")
_LOOKED_AT = 16
_SHORT = 15
_CHECKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def verify(delivery: Delivery, connection: Connection, _now: datetime) -> int:
    """A secret is the id of the organization, of 15 or 18 characters; the message names it. That
    is all there is: the network has to vouch for the rest. Nothing is parsed for those who do not
    know the id."""
    listed = [one[1].decode() for one in islice(_ORGANIZATION.finditer(delivery.body), _LOOKED_AT)]
    if not listed:
        raise Refused("signature_missing", "the message names no OrganizationId")
    matching(connection.secrets, lambda secret: True in [_names(secret, one) for one in listed])
    try:
        given = parse(delivery.body).organization_id
    except Unreadable as error:
        raise Refused("signature_invalid", str(error)) from None
    return matching(connection.secrets, lambda secret: _names(secret, given))


def _names(text: str, given: str) -> bool:
    secret = text.strip()
    short = secret[:_SHORT]
    spellings = [same(given, short), same(given, _long(short))]
    return len(secret) in (_SHORT, _SHORT + 3) and True in spellings


def _long(short: str) -> str:
    """The 18 characters of an id: three more tell which of its letters are capitals."""
    chunks = [short[at : at + 5] for at in range(0, len(short), 5)]
    bits = (sum("A" <= char <= "Z" and 1 << at for at, char in enumerate(one)) for one in chunks)
    return short + "".join(_CHECKS[number] for number in bits)


def translate(delivery: Delivery, connection: Connection) -> Translation:
    """What was put aside comes back as the JSON that it was put aside as: a part, or all parts of a
    message that had too many."""
    if delivery.body.startswith((b"{", b"[")):
        told = read(delivery)
        parts: Sequence[Any] = told if isinstance(told, list) else [told]
    else:
        parts = parse(delivery.body).notifications
    return gathered(parts, lambda part: _events(part, connection), bounds=delivery.bounds)


def _events(part: Mapping[str, Any], connection: Connection) -> Iterable[IncomingEvent]:
    kind, record = part.get("type"), part.get("record")
    if not isinstance(record, dict):
        raise Puzzling("invalid_event", "a notification brings the record of an object")
    record_id, draft = named(record, "Id"), _draft(part, connection)
    made: Sequence[IncomingEvent] = ()
    if kind == "Opportunity":
        made = _deal(record_id, record, draft)
    elif kind == "Account":
        made = account(draft, record_id, record, salesforce.ACCOUNT)
    return made or [draft.skipped(f"salesforce_outbound.{kind}", part)]


def _draft(part: Mapping[str, Any], connection: Connection) -> Draft:
    """What is sent again may by then tell a later state under the same id, so that the record is
    a part of the event's."""
    record = part["record"]
    changed = record.get("SystemModstamp") or record.get("LastModifiedDate")
    return Draft(
        connection,
        f"{named(part, 'Id')}/{digest(record)[:16]}",
        happened("LastModifiedDate", changed, iso),
        actor=ident(record.get("LastModifiedById")),
    )


def _deal(record_id: str, record: Mapping[str, Any], draft: Draft) -> Sequence[IncomingEvent]:
    deal_id = draft.connection.deal(record_id)
    if record.get("IsDeleted") == "true":
        return [draft.deal("deal.deleted", deal_id)]
    made = happened("CreatedDate", record.get("CreatedDate"), iso)
    first = Draft(draft.connection, f"{record_id}/created", made)
    return [
        *([first.created(deal_id, {})] if made else []),
        *salesforce.whole(deal_id, record, salesforce.fields(record, draft), draft),
    ]


CONNECTOR = Connector(verify, translate, signs_time=False)
