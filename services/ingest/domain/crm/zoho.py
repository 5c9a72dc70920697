"""Zoho CRM's notifications: ids of changed records, with values only where they were asked for."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from itertools import islice
from typing import Any

from services.ingest.domain.crm.bodies import Puzzling, Told, digest, gathered, happened, read
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import changes, ident
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Refresh,
    Refused,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.records import account, named
from services.ingest.domain.crm.signing import matching, same
from services.ingest.domain.crm.times import MS, epoch

_TOKEN = re.compile(rb'"token"\s*:\s*("(?:[^"\\]|\\.){0,300}")')
_LOOKED_AT = 4
"""Tokens of a body: fields of that name may precede the token, but each is a guess at it."""
_TABLE = {
    "Deal_Name": "name", "Stage": "stage_id", "Pipeline": "pipeline_id", "Amount": "amount",
    "Currency": "currency", "Closing_Date": "expected_close_date", "Owner": "owner_id",
    "Account_Name": "account_id", "Lead_Source": "source",
}  # fmt: skip
_ACCOUNT = {
    "Account_Name": "name", "Industry": "industry", "Owner": "owner_id",
    "Parent_Account": "parent_id",
}  # fmt: skip
SECRET = ("token", "query_params")
_BY_RECORD = ("affected_values", "affected_fields")


def verify(delivery: Delivery, connection: Connection, _now: datetime) -> int:
    """The token stands in the body, which is not parsed for it: whoever knows the token may put it
    anywhere."""
    given = list(islice(_tokens(delivery.body), _LOOKED_AT))
    if not given:
        raise Refused("signature_missing", "the body has no token")
    return matching(connection.secrets, lambda secret: True in [same(one, secret) for one in given])


def _tokens(body: bytes) -> Iterator[str]:
    for found in _TOKEN.finditer(body):
        try:
            yield json.loads(found[1])
        except ValueError:
            continue


def translate(delivery: Delivery, connection: Connection) -> Translation:
    body = read(delivery)
    if not isinstance(body, dict):
        raise Unreadable("a notification of Zoho is an object")
    shown = {name: value for name, value in body.items() if name not in SECRET}
    return gathered(_parts(shown), lambda part: _told(part, connection), shown, delivery.bounds)


def _parts(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One for each record, with what is told of it and nothing of what is told of others."""
    values, fields = _by_record(body.get("affected_values")), _by_id(body.get("affected_fields"))
    listed = {name for name in _BY_RECORD if isinstance(body.get(name), list)}
    ids, rest = body.get("ids"), {k: v for k, v in body.items() if k not in listed}
    for one in ids if isinstance(ids, list) and ids else [None]:
        own = ident(one) or ""
        told = {"affected_values": values.get(own), "affected_fields": fields.get(own)}
        yield {**rest, "ids": [one], **{name: [had] for name, had in told.items() if had}}


def _by_record(given: Any) -> dict[str, Any]:
    listed = given if isinstance(given, list) else []
    return {ident(one.get("record_id")) or "": one for one in listed if isinstance(one, dict)}


def _by_id(given: Any) -> dict[str, Any]:
    listed = given if isinstance(given, list) else []
    return {name: {name: one[name]} for one in listed if isinstance(one, dict) for name in one}


def _told(part: Mapping[str, Any], connection: Connection) -> Iterable[Told]:
    """What a notification says of one of its records."""
    module, operation = part.get("module"), part.get("operation")
    if not isinstance(module, str) or not isinstance(operation, str):
        raise Puzzling("invalid_event", "module and operation are missing")
    record_id = named({"ids": part["ids"][0]}, "ids")
    draft = _draft(part, record_id, connection)
    made: Sequence[Told] = ()
    if module == "Deals" and operation in ("insert", "update", "delete"):
        made = _deal(operation, record_id, part, draft)
    elif module == "Accounts" and operation in ("insert", "update"):
        made = _account(record_id, part, draft)
    return made or [draft.skipped(f"zoho.{module}.{operation}", part)]


def _draft(part: Mapping[str, Any], record_id: str, connection: Connection) -> Draft:
    """Two edits may share a `server_time`: what they tell of the record names them too, so that
    both enter. A notification that tells nothing of it is named without."""
    at = happened("server_time", part.get("server_time"), lambda given: epoch(given, MS))
    names = (ident(part.get(name)) for name in ("channel_id", "module", "operation", "server_time"))
    told = (_values(part, record_id), sorted(_named(part, record_id) or ()))
    own = (record_id, *told) if any(told) else (record_id,)
    return Draft(connection, None if at is None else digest(*names, *own), at)


def _deal(operation: str, record_id: str, part: Mapping[str, Any], draft: Draft) -> Sequence[Told]:
    deal_id = draft.connection.deal(record_id)
    if operation == "delete":
        return [draft.deal("deal.deleted", deal_id)]
    values = _values(part, record_id)
    fields = changes(values, _TABLE, draft.connection)
    events = (
        [draft.created(deal_id, fields)]
        if operation == "insert"
        else draft.changed(deal_id, fields)
    )
    mapped = draft.connection.field_map.keys() | _TABLE
    return [*events, *_unread("Deals", record_id, values, _named(part, record_id), mapped)]


def _account(record_id: str, part: Mapping[str, Any], draft: Draft) -> Sequence[Told]:
    values = _values(part, record_id)
    events = account(draft, record_id, values, _ACCOUNT)
    return [*events, *_unread("Accounts", record_id, values, _named(part, record_id), _ACCOUNT)]


def _values(part: Mapping[str, Any], record_id: str) -> dict[str, Any]:
    """The values of a record; of another record that a field names, its id."""
    given = part.get("affected_values")
    for one in given if isinstance(given, list) else ():
        if isinstance(one, dict) and ident(one.get("record_id")) == record_id:
            values = one.get("values")
            return {n: _id_of(v) for n, v in values.items()} if isinstance(values, dict) else {}
    return {}


def _id_of(value: Any) -> Any:
    return value["id"] if isinstance(value, dict) and "id" in value else value


def _named(part: Mapping[str, Any], record_id: str) -> Set[str] | None:
    """Names of the fields that changed; `None` where the notification does not say."""
    given = part.get("affected_fields")
    for one in given if isinstance(given, list) else ():
        names = one.get(record_id) if isinstance(one, dict) else None
        if isinstance(names, list):
            return {name for name in names if isinstance(name, str)}
    return None


def _unread(
    module: str,
    record_id: str,
    values: Mapping[str, Any],
    changed: Set[str] | None,
    mapped: Collection[str],
) -> Iterable[Refresh]:
    """A record of which something that we keep was changed, but not told."""
    if changed is None:
        return [] if values else [Refresh(module, record_id, "no_values")]
    if not [name for name in changed if name in mapped and name not in values]:
        return []
    return [Refresh(module, record_id, "partial" if values else "no_values")]


CONNECTOR = Connector(verify, translate, signs_time=False)
