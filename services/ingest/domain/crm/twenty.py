"""Twenty: one record a delivery, whole, with the names of what changed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.crm.bodies import Puzzling, digest, gathered, happened, read
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import changes, ident
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.records import account, named
from services.ingest.domain.crm.signing import fresh, header, hmac_sha256, matching, same
from services.ingest.domain.crm.times import MS, iso

_CURRENCY = "amount.currencyCode"
_TABLE = {
    "name": "name", "stage": "stage_id", "amount": "amount", _CURRENCY: "currency",
    "closeDate": "expected_close_date", "companyId": "account_id", "ownerId": "owner_id",
}  # fmt: skip
_COMPANY = {"name": "name", "accountOwnerId": "owner_id"}
_MICROS = re.compile(r"\d{1,40}", re.ASCII)
_ENDS = {"deleted": "deal.deleted", "destroyed": "deal.deleted", "restored": "deal.restored"}


def verify(delivery: Delivery, connection: Connection, now: datetime) -> int:
    """The nonce is not signed, hence proves nothing and names nothing."""
    sent = header(delivery, "x-twenty-webhook-timestamp")
    given = header(delivery, "x-twenty-webhook-signature")
    fresh(sent, MS, now)
    signed = f"{sent}:".encode()
    return matching(
        connection.secrets,
        lambda secret: same(given, hmac_sha256(secret.encode(), signed, delivery.body).hex()),
    )


def translate(delivery: Delivery, connection: Connection) -> Translation:
    body = read(delivery)
    if not isinstance(body, dict):
        raise Unreadable("a delivery of Twenty is an object")
    return gathered([body], lambda part: _events(part, connection))


def _events(part: Mapping[str, Any], connection: Connection) -> Iterable[IncomingEvent]:
    """Its guide spells `{event, data, timestamp}` what its code sends as `{eventName, record,
    eventDate}`."""
    event, record = part.get("eventName", part.get("event")), part.get("record", part.get("data"))
    if not isinstance(event, str) or not isinstance(record, dict):
        raise Puzzling("invalid_event", "eventName and record are missing")
    entity, _, action = event.partition(".")
    draft = _draft(part, event, record, connection)
    made: Sequence[IncomingEvent] = ()
    if entity == "opportunity":
        made = _deal(action, part, record, draft)
    elif entity == "company" and action in ("created", "updated", "restored"):
        made = account(draft, named(record, "id"), _changed(part, record), _COMPANY)
    return made or [draft.skipped(f"twenty.{event}", part)]


def _draft(
    part: Mapping[str, Any], event: str, record: Mapping[str, Any], connection: Connection
) -> Draft:
    at = part.get("eventDate", part.get("timestamp"))
    names = [event, ident(part.get("webhookId")), ident(record.get("id")), at]
    return Draft(connection, digest(*names) if at else None, happened("eventDate", at, iso))


def _deal(
    action: str, part: Mapping[str, Any], record: Mapping[str, Any], draft: Draft
) -> Sequence[IncomingEvent]:
    deal_id = draft.connection.deal(named(record, "id"))
    if action in _ENDS:
        return [draft.deal(_ENDS[action], deal_id)]
    fields = changes(_flat(_changed(part, record)), _TABLE, draft.connection)
    if action == "created":
        return [draft.created(deal_id, fields)]
    return draft.changed(deal_id, fields) if action == "updated" else []


def _changed(part: Mapping[str, Any], record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the record has of the fields that changed; all where the delivery does not say."""
    given = part.get("updatedFields")
    if not isinstance(given, list):
        return record
    told = {name for name in given if isinstance(name, str)}
    return {name: record[name] for name in record if told & {name, name.removesuffix("Id")}}


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """An amount is `{amountMicros, currencyCode}`; what is none stays for the catalogue's check."""
    flat, money = dict(record), record.get("amount")
    if isinstance(money, dict):
        flat["amount"] = _units(money)
        flat[_CURRENCY] = money.get("currencyCode")
    return flat


def _units(money: Mapping[str, Any]) -> Any:
    micros = money.get("amountMicros")
    if isinstance(micros, float) and micros.is_integer():
        micros = int(micros)
    if micros is None or micros == "":
        return None
    text = ident(micros)
    if text is None or not _MICROS.fullmatch(text):
        return money
    units, rest = divmod(int(text), 10**6)
    return f"{units}.{rest:06d}".rstrip("0").rstrip(".")


CONNECTOR = Connector(verify, translate, signs_time=True)
