"""What HubSpot tells of deals."""

from collections.abc import Iterable, Mapping
from typing import Any

from libs.common.contracts.events import ATTRIBUTE
from services.ingest.domain.crm.bodies import Puzzling, Told
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import ident, name_of, spelled
from services.ingest.domain.crm.model import Refresh

_TABLE = {
    "dealname": "name", "dealstage": "stage_id", "pipeline": "pipeline_id", "amount": "amount",
    "deal_currency_code": "currency", "closedate": "expected_close_date",
    "hubspot_owner_id": "owner_id", "hubspot_team_id": "team_id",
    "hs_primary_associated_company": "account_id", "dealtype": "customer_type",
}  # fmt: skip
_OUTCOMES = {"hs_is_closed_won": "deal.won", "hs_is_closed_lost": "deal.lost"}
_DEAL_TYPES = {"newbusiness": "new", "existingbusiness": "existing"}
_ENDS = {"deletion": "deal.deleted", "restore": "deal.restored"}
_FROM_DEAL, _FROM_COMPANY = ("fromObjectId", "toObjectId"), ("toObjectId", "fromObjectId")
_SIDES = {
    "DEAL_TO_COMPANY": _FROM_DEAL, "0-3 0-2": _FROM_DEAL,
    "COMPANY_TO_DEAL": _FROM_COMPANY, "0-2 0-3": _FROM_COMPANY,
}  # fmt: skip


def told(action: str, part: Mapping[str, Any], draft: Draft) -> Iterable[Told]:
    """What Headway has a use for; nothing for the rest."""
    match action:
        case "creation":
            return [draft.created(_deal(part, "objectId", draft), {})]
        case "propertyChange":
            return _property(_deal(part, "objectId", draft), part, draft)
        case "deletion" | "restore":
            return [draft.deal(_ENDS[action], _deal(part, "objectId", draft))]
        case "merge":
            return _merged(part, draft)
        case "associationChange":
            return _associated(part, draft)
    return ()


def _deal(part: Mapping[str, Any], name: str, draft: Draft) -> str:
    return draft.connection.deal(_id(part, name))


def _id(part: Mapping[str, Any], name: str) -> str:
    if (given := ident(part.get(name))) is None:
        raise Puzzling("missing_id", f"{name} names no object")
    return given


def _property(deal_id: str, part: Mapping[str, Any], draft: Draft) -> Iterable[Told]:
    vendor, value = part.get("propertyName"), part.get("propertyValue")
    if not isinstance(vendor, str) or not vendor:
        raise Puzzling("missing_field", "propertyName names no property")
    if "propertyValue" not in part:
        return [Refresh("deal", _id(part, "objectId"), "no_values")]
    if vendor in _OUTCOMES and vendor not in draft.connection.field_map:
        return [draft.deal(_OUTCOMES[vendor], deal_id)] if value in ("true", True) else ()
    name, value = _mapped(vendor, value, draft)
    return draft.changed(deal_id, {name: spelled(name, value, draft.connection)})


def _mapped(vendor: str, value: Any, draft: Draft) -> tuple[str, Any]:
    """Our field and its value; what nobody mapped is kept, since somebody subscribed to it."""
    name = name_of(vendor, _TABLE, draft.connection) or ATTRIBUTE + vendor
    if name != "customer_type" or vendor in draft.connection.field_map or value in ("", None):
        return name, value
    known = _DEAL_TYPES.get(str(value))
    return (name, known) if known else (ATTRIBUTE + vendor, value)


def _merged(part: Mapping[str, Any], draft: Draft) -> Iterable[Told]:
    """Where the merge made a new deal, all older ones end in it."""
    survivor = ident(part.get("newObjectId")) or _id(part, "primaryObjectId")
    listed = part.get("mergedObjectIds")
    given = [part.get("primaryObjectId"), *(listed if isinstance(listed, list) else [listed])]
    ended = dict.fromkeys(one for one in map(ident, given) if one not in (None, survivor))
    if not ended:
        raise Puzzling("missing_id", "mergedObjectIds names no object")
    merged = [draft.connection.deal(one) for one in ended]
    return [draft.deal("deal.merged", draft.connection.deal(survivor), merged_deal_ids=merged)]


def _associated(part: Mapping[str, Any], draft: Draft) -> Iterable[Told]:
    """The primary company is a deal's account; its other companies are not."""
    by_id = f"{part.get('fromObjectTypeId')} {part.get('toObjectTypeId')}"
    sides = _SIDES.get(str(part.get("associationType")), _SIDES.get(by_id))
    if sides is None or part.get("isPrimaryAssociation") is False:
        return ()
    deal_id, account_id = _deal(part, sides[0], draft), _id(part, sides[1])
    if part.get("associationRemoved") is True:
        return draft.changed(deal_id, {"account_id": None}, {"account_id": account_id})
    return draft.changed(deal_id, {"account_id": account_id})
