"""HubSpot: a list of single changes, one property each, without a record or an old value."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from services.ingest.domain.crm import hubspot_deals
from services.ingest.domain.crm.attempts import of_hubspot
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
from services.ingest.domain.crm.fields import ident, spelled
from services.ingest.domain.crm.hubspot_signatures import taught, verify
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.times import MS, epoch

_OBJECTS = {"0-1": "contact", "0-2": "company", "0-3": "deal", "0-5": "ticket"}
_COMPANY = {
    "name": "name", "industry": "industry", "hubspot_owner_id": "owner_id",
    "hs_parent_company_id": "parent_id", "hs_ideal_customer_profile": "tier",
}  # fmt: skip
_NAMING = (
    "portalId", "subscriptionId", "objectId", "propertyName", "occurredAt", "propertyValue",
    "primaryObjectId", "newObjectId", "mergedObjectIds", "fromObjectId", "toObjectId",
    "associationType", "associationRemoved",
)  # fmt: skip
"""What tells occurrences apart."""


def translate(delivery: Delivery, connection: Connection) -> Translation:
    body = read(delivery)
    if not isinstance(body, list | dict):
        raise Unreadable("a delivery of HubSpot is a list of events")
    parts = body if isinstance(body, list) else [body]
    return gathered(parts, lambda part: _told(part, connection), bounds=delivery.bounds)


def _told(part: Any, connection: Connection) -> Iterable[Told]:
    named = part.get("subscriptionType") if isinstance(part, dict) else None
    if not isinstance(named, str):
        raise Puzzling("invalid_event", "an event of HubSpot is an object with a subscriptionType")
    entity, action = _named(named, part)
    draft = _draft(action, part, connection)
    told: Iterable[Told] = ()
    if entity == "deal" or (entity, action) == ("company", "associationChange"):
        told = hubspot_deals.told(action, part, draft)
    elif entity == "company":
        told = _company(action, part, draft)
    return or_skipped(told, draft.skipped(f"hubspot.{entity}.{action}", of_hubspot(part)))


def _named(named: str, part: Mapping[str, Any]) -> tuple[str, str]:
    """`deal.creation` may be spelled `object.creation` of the type `0-3`."""
    entity, _, action = named.partition(".")
    type_id = ident(part.get("objectTypeId")) or ident(part.get("fromObjectTypeId")) or ""
    return _OBJECTS.get(type_id, entity) if entity == "object" else entity, action


def _draft(action: str, part: Mapping[str, Any], connection: Connection) -> Draft:
    names = [_plain(part.get(name)) for name in _NAMING]
    user = part.get("sourceId")
    return Draft(
        connection,
        f"{_rank(part)}-{digest(action, *names)}",
        happened("occurredAt", part.get("occurredAt"), partial(epoch, unit=MS)),
        actor=user if isinstance(user, str) and user.startswith("userId:") else None,
    )


def _plain(value: Any) -> Any:
    """Ids name the same thing whatever type they arrive in."""
    return [_plain(one) for one in value] if isinstance(value, list) else ident(value) or value


def _rank(part: Mapping[str, Any]) -> int:
    """Ids order what happens in one instant: a deal changes its pipeline before its stage, leaves
    its account before it gets another, and is closed last."""
    property_name = part.get("propertyName")
    if property_name == "pipeline" or part.get("associationRemoved") is True:
        return 1
    return 3 if property_name in ("hs_is_closed_won", "hs_is_closed_lost") else 2


def _company(action: str, part: Mapping[str, Any], draft: Draft) -> Iterable[Told]:
    """An upsert cannot clear, so a property that became empty is none."""
    account_id, name = ident(part.get("objectId")), _COMPANY.get(str(part.get("propertyName")))
    if account_id is None:
        raise Puzzling("missing_id", "objectId names no company")
    if action == "creation":
        yield draft.event("account.upserted", {"account_id": account_id})
    elif action == "propertyChange" and name is not None:
        value = spelled(name, part.get("propertyValue"), draft.connection)
        if value is not None:
            yield draft.event("account.upserted", {"account_id": account_id, name: value})


CONNECTOR = Connector(verify, translate, signs_time=True, taught=taught)
"""v1 and v2 sign none: they are taken only where a connection asks for no more."""
