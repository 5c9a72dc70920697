"""Close: one event of its log in a delivery, with the whole new object and the old values."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from services.ingest.domain.crm import close_activities, close_opportunities
from services.ingest.domain.crm.bodies import Puzzling, Told, gathered, happened, or_skipped, read
from services.ingest.domain.crm.close_entry import Entry
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import ident
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.signing import fresh, header, hmac_sha256, matching, same
from services.ingest.domain.crm.times import SECOND, iso


def verify(delivery: Delivery, connection: Connection, now: datetime) -> int:
    given, sent = header(delivery, "close-sig-hash"), header(delivery, "close-sig-timestamp")
    fresh(sent, SECOND, now)
    return matching(connection.secrets, lambda secret: _proves(secret, given, sent, delivery.body))


def _proves(secret: str, given: str, sent: str, body: bytes) -> bool:
    """The key is the decoded one, not its text."""
    try:
        key = bytes.fromhex(secret)
    except ValueError:
        return False
    return bool(key) and same(given, hmac_sha256(key, sent.encode(), body).hex())


def translate(delivery: Delivery, connection: Connection) -> Translation:
    body = read(delivery)
    if not isinstance(body, dict):
        raise Unreadable("a delivery of Close is an object")
    return gathered([body], lambda part: _told(part, connection))


def _told(body: Mapping[str, Any], connection: Connection) -> Iterable[Told]:
    entry = _entry(body.get("event"), connection)
    told: Iterable[Told] = ()
    if entry.kind == "opportunity":
        told = close_opportunities.told(entry)
    elif entry.kind == "lead":
        told = _lead(entry)
    elif entry.kind in close_activities.KINDS:
        told = close_activities.told(entry)
    return or_skipped(told, entry.draft.skipped(f"close.{entry.kind}.{entry.action}", body))


def _entry(event: Any, connection: Connection) -> Entry:
    if not isinstance(event, dict):
        raise Puzzling("invalid_event", "event is missing")
    kind, action = event.get("object_type"), event.get("action")
    if not isinstance(kind, str) or not isinstance(action, str):
        raise Puzzling("missing_field", "object_type and action are texts")
    draft = Draft(
        connection,
        ident(event.get("id")),
        happened("date_created", event.get("date_created"), iso),
        actor=ident(event.get("user_id")),
    )
    return Entry(kind, action, event, draft)


def _lead(entry: Entry) -> Iterable[Told]:
    """A lead of Close is a company: our account. Most updates of leads do not touch its name."""
    name = entry.data.get("display_name") or entry.data.get("name") or None
    renamed = entry.action == "updated" and entry.changed & {"name", "display_name"}
    if entry.action == "created" or (renamed and name is not None):
        data = {"account_id": entry.object_id, "name": name}
        yield entry.draft.event("account.upserted", {k: v for k, v in data.items() if v})


CONNECTOR = Connector(verify, translate, signs_time=True)
