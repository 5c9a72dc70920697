"""Pipedrive: one change of one object in a delivery, with its record; webhooks v1 and v2."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from services.ingest.domain.crm import pipedrive_deals, pipedrive_others
from services.ingest.domain.crm.attempts import of_pipedrive
from services.ingest.domain.crm.bodies import (
    Puzzling,
    Told,
    digest,
    gathered,
    happened,
    or_skipped,
    read,
)
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import ident
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.pipedrive_notice import Notice, flat
from services.ingest.domain.crm.signing import basic_auth
from services.ingest.domain.crm.times import SECOND, epoch, iso

_ACTIONS = {"added": "create", "updated": "change", "deleted": "delete", "merged": "merge"}
_MICROSECOND = timedelta(microseconds=1)
_KNOWN = {
    "deal": pipedrive_deals.told,
    "activity": pipedrive_others.activity,
    "organization": pipedrive_others.organization,
    "user": pipedrive_others.user,
}


def translate(delivery: Delivery, connection: Connection) -> Translation:
    body = read(delivery)
    if not isinstance(body, dict):
        raise Unreadable("a delivery of Pipedrive is an object")
    return gathered([body], lambda part: _told(part, connection))


def _told(body: Mapping[str, Any], connection: Connection) -> Iterable[Told]:
    meta = body.get("meta")
    if not isinstance(meta, dict):
        raise Puzzling("invalid_event", "meta is missing")
    notice = _second(body, meta, connection) if "data" in body else _first(body, meta, connection)
    told = _KNOWN[notice.entity](notice) if notice.entity in _KNOWN else ()
    named = f"pipedrive.{notice.entity}.{notice.action}"
    return or_skipped(told, notice.draft.skipped(named, of_pipedrive(body)))


def _second(body: Mapping[str, Any], meta: Mapping[str, Any], connection: Connection) -> Notice:
    entity, action = _text(meta, "entity"), _text(meta, "action")
    data, previous = body.get("data"), body.get("previous")
    object_id, stamp = ident(meta.get("entity_id")), meta.get("timestamp")
    named = digest(entity, object_id, action, ident(stamp)) if ident(stamp) else None
    draft = Draft(
        connection,
        _uuid(meta.get("id")) or named,
        happened("meta.timestamp", stamp, _either),
        actor=ident(meta.get("user_id")),
    )
    record = previous if data is None else data
    before = {} if data is None else flat(previous)
    return Notice(entity, action, object_id, record, before, meta, draft)


def _first(body: Mapping[str, Any], meta: Mapping[str, Any], connection: Connection) -> Notice:
    entity, action, object_id = _text(meta, "object"), _text(meta, "action"), ident(meta.get("id"))
    current, previous = body.get("current"), flat(body.get("previous"))
    record = flat(current)
    draft = Draft(
        connection,
        _first_id(meta, entity, object_id, action),
        _first_time(meta),
        actor=ident(meta.get("user_id")),
    )
    before = {name: old for name, old in previous.items() if record and record.get(name) != old}
    shown = current if current is not None else body.get("previous")
    named = _ACTIONS.get(action, action)
    return Notice(entity, named, object_id, shown, before, meta, draft, whole=bool(previous))


def _first_id(
    meta: Mapping[str, Any], entity: str, object_id: str | None, action: str
) -> str | None:
    """The moment of a hook; nothing in it where there is none, so that changes are not mixed up."""
    stamp = ident(meta.get("timestamp_micro")) or ident(meta.get("timestamp"))
    hook = ident(meta.get("webhook_id"))
    return digest(hook, stamp, entity, object_id, action) if stamp else None


def _first_time(meta: Mapping[str, Any]) -> datetime | None:
    micro = meta.get("timestamp_micro")
    if micro is not None:
        return happened("meta.timestamp_micro", micro, partial(epoch, unit=_MICROSECOND))
    return happened("meta.timestamp", meta.get("timestamp"), _either)


def _either(value: Any) -> datetime | None:
    return iso(value) or epoch(value, SECOND)


def _uuid(value: Any) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _text(meta: Mapping[str, Any], name: str) -> str:
    if not isinstance(value := meta.get(name), str):
        raise Puzzling("missing_field", f"meta.{name} is missing")
    return value


CONNECTOR = Connector(basic_auth, translate, signs_time=False)
