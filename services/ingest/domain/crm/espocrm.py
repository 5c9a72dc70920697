"""EspoCRM: a list of records, of updates only what changed; the URL says what happened."""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.crm import espocrm_activities
from services.ingest.domain.crm.bodies import (
    Puzzling,
    Told,
    digest,
    gathered_by_place,
    happened,
    read,
)
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.espocrm_naming import Sending, draft, sending
from services.ingest.domain.crm.fields import changes
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Refused,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.records import account, named
from services.ingest.domain.crm.signing import header, hmac_sha256, matching
from services.ingest.domain.crm.times import iso

_TABLE = {
    "name": "name", "stage": "stage_id", "amount": "amount", "amountCurrency": "currency",
    "closeDate": "expected_close_date", "accountId": "account_id", "assignedUserId": "owner_id",
    "leadSource": "source",
}  # fmt: skip
_ACCOUNT = {"name": "name", "industry": "industry", "assignedUserId": "owner_id"}
_CHANGED = ("update", "fieldUpdate")


def verify(delivery: Delivery, connection: Connection, _now: datetime) -> int:
    """`Signature` ends in hex digits, the older `X-Signature` in bytes. The webhook's id before
    them is signed by nobody."""
    newer = "signature" in delivery.headers
    given = _proof(header(delivery, "signature" if newer else "x-signature"))
    return matching(connection.secrets, lambda secret: _proves(secret, given, delivery, newer))


def _proof(text: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded or base64.b64encode(decoded) != text.encode():
        raise Refused("signature_invalid", "the signature is not base64")
    return decoded.partition(b":")[2]


def _proves(secret: str, given: bytes, delivery: Delivery, newer: bool) -> bool:
    expected = hmac_sha256(secret.encode(), delivery.body)
    return hmac.compare_digest(given, expected.hex().encode() if newer else expected)


def translate(delivery: Delivery, connection: Connection) -> Translation:
    body = read(delivery)
    if not isinstance(body, list | dict):
        raise Unreadable("a delivery of EspoCRM is a list of records")
    parts = body if isinstance(body, list) else [body]
    sent = sending(delivery, event_of(delivery, connection))
    return gathered_by_place(
        parts, lambda place, part: _events(part, place, sent, connection), bounds=delivery.bounds
    )


def event_of(delivery: Delivery, connection: Connection) -> str:
    """What happened. The URL that the connection names comes first, since no signature covers the
    one that was called."""
    try:
        fixed = parse_qs(urlsplit(connection.public_url or "").query).get("event", [""])
    except ValueError:
        fixed = [""]
    return fixed[0] or delivery.query.get("event", "")


def _events(part: Any, place: int, sent: Sending, connection: Connection) -> Iterable[Told]:
    if not isinstance(part, dict):
        raise Puzzling("invalid_event", "a record of EspoCRM is an object")
    entity, action, drafted = sent.entity, sent.action, draft(part, place, sent, connection)
    made: Sequence[Told] = ()
    if entity in ("Opportunity", ""):
        made = _deal(action, part, drafted)
    elif entity == "Account" and action in ("create", *_CHANGED):
        made = account(drafted, named(part, "id"), part, _ACCOUNT)
    elif entity in espocrm_activities.KINDS and action in ("create", *_CHANGED):
        made = espocrm_activities.events(entity, action, part, drafted)
    return made or [drafted.skipped(f"espocrm.{sent.event or 'Opportunity'}", part)]


def _deal(action: str, part: Mapping[str, Any], draft: Draft) -> Sequence[IncomingEvent]:
    record_id = named(part, "id")
    deal_id = draft.connection.deal(record_id)
    fields = changes(part, _TABLE, draft.connection)
    if action == "delete" or (not action and part.get("deleted") is True):
        return [draft.deal("deal.deleted", deal_id)]
    if action == "create":
        return [draft.created(deal_id, fields)]
    if action in _CHANGED:
        return draft.changed(deal_id, fields)
    if action:
        return []
    return [*_creation(record_id, part, draft), *draft.changed(deal_id, fields)]


def _creation(record_id: str, part: Mapping[str, Any], draft: Draft) -> Sequence[IncomingEvent]:
    """The same event from each delivery that tells when its record was made: taken once."""
    made = happened("createdAt", part.get("createdAt"), iso)
    first = Draft(draft.connection, digest("created", record_id), made)
    return [first.created(draft.connection.deal(record_id), {})] if made else []


CONNECTOR = Connector(verify, translate, signs_time=False)
