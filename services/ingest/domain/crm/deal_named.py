"""Of which deal a part is that made no event: by the vendor's id of the record that it tells of."""

from collections.abc import Callable, Mapping
from typing import Any

from libs.common.contracts.cloudevents import MAX_ID
from services.ingest.domain.crm.espocrm import event_of
from services.ingest.domain.crm.fields import ident
from services.ingest.domain.crm.model import Connection, Delivery, Kind, Puzzle

_Part = Mapping[str, Any]


def deal_of(kind: Kind, puzzle: Puzzle, delivery: Delivery, connection: Connection) -> str | None:
    """Our id of the deal; `None` where the part tells of none, of several, or in no way that is
    known."""
    deal_id = puzzle.deal_id or _named(kind, puzzle.raw, delivery, connection)
    fits = deal_id is not None and len(deal_id) <= MAX_ID and deal_id.isprintable()
    return deal_id if fits else None


def _named(kind: Kind, raw: Any, delivery: Delivery, connection: Connection) -> str | None:
    if not isinstance(raw, dict):
        return None
    of = _opportunity(delivery, connection) if kind == "espocrm" else _RECORD.get(kind)
    record_id = None if of is None else ident(of(raw))
    return None if record_id is None else connection.deal(record_id)


def _hubspot(part: _Part) -> Any:
    entity = str(part.get("subscriptionType")).partition(".")[0]
    if entity != "deal" and (entity != "object" or ident(part.get("objectTypeId")) != "0-3"):
        return None
    named = (part.get(name) for name in ("objectId", "newObjectId", "primaryObjectId"))
    return next((one for one in named if one is not None), None)


def _pipedrive(part: _Part) -> Any:
    meta = _object(part.get("meta"))
    if "data" in part:
        return meta.get("entity_id") if meta.get("entity") == "deal" else None
    return meta.get("id") if meta.get("object") == "deal" else None


def _close(part: _Part) -> Any:
    event = _object(part.get("event"))
    return event.get("object_id") if event.get("object_type") == "opportunity" else None


def _zoho(part: _Part) -> Any:
    return _only(part.get("ids")) if part.get("module") == "Deals" else None


def _salesforce_cdc(part: _Part) -> Any:
    header = _object(part.get("ChangeEventHeader"))
    return _only(header.get("recordIds")) if header.get("entityName") == "Opportunity" else None


def _salesforce_outbound(part: _Part) -> Any:
    return _object(part.get("record")).get("Id") if part.get("type") == "Opportunity" else None


def _twenty(part: _Part) -> Any:
    event = str(part.get("eventName", part.get("event")))
    record = _object(part.get("record", part.get("data")))
    return record.get("id") if event.startswith("opportunity.") else None


def _opportunity(delivery: Delivery, connection: Connection) -> Callable[[_Part], Any]:
    entity = event_of(delivery, connection).partition(".")[0]
    return lambda part: part.get("id") if entity in ("Opportunity", "") else None


def _standard_webhooks(part: _Part) -> Any:
    return _object(part.get("data")).get("deal_id")


_RECORD: Mapping[Kind, Callable[[_Part], Any]] = {
    "hubspot": _hubspot,
    "pipedrive": _pipedrive,
    "close": _close,
    "zoho": _zoho,
    "salesforce_cdc": _salesforce_cdc,
    "salesforce_outbound": _salesforce_outbound,
    "twenty": _twenty,
    "standard_webhooks": _standard_webhooks,
}


def _object(value: Any) -> _Part:
    return value if isinstance(value, dict) else {}


def _only(listed: Any) -> Any:
    return listed[0] if isinstance(listed, list) and len(listed) == 1 else None
