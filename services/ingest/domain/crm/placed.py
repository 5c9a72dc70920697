"""Data spelled as the catalogue asks for, but under the sender's ids: a connection's maps."""

from collections.abc import Mapping
from typing import Any

from libs.common.contracts.events import ATTRIBUTE
from services.ingest.domain.crm.fields import ident
from services.ingest.domain.crm.model import Connection

_STAGES, _NESTED = ("stage_id", "from_stage_id"), ("changes", "previous")


def placed(type_: str, data: Mapping[str, Any], connection: Connection) -> dict[str, Any]:
    """Data of the catalogue whose ids are the sender's, with ours."""
    given = _mapped(data, connection) if type_ == "deal.created" else _ids(data, connection)
    for name in _NESTED if type_ == "deal.updated" else ():
        if isinstance(given.get(name), dict):
            given[name] = _mapped(given[name], connection)
    if (deal_id := ident(given.get("deal_id"))) is not None:
        given["deal_id"] = connection.deal(deal_id)
    merged = given.get("merged_deal_ids")
    if isinstance(merged, list):
        given["merged_deal_ids"] = [_deal(one, connection) for one in merged]
    return _gathered(given) if type_ == "deal.created" else given


def _deal(given: Any, connection: Connection) -> Any:
    return given if (deal_id := ident(given)) is None else connection.deal(deal_id)


def _mapped(fields: Mapping[str, Any], connection: Connection) -> dict[str, Any]:
    renamed = {connection.field_map.get(name, name): value for name, value in fields.items()}
    return _ids(renamed, connection)


def _ids(fields: Mapping[str, Any], connection: Connection) -> dict[str, Any]:
    placed = dict(fields)
    for name in (*_STAGES, "pipeline_id"):
        if (given := ident(fields.get(name))) is not None:
            to = connection.pipeline if name == "pipeline_id" else connection.stage
            placed[name] = to(given)
    return placed


def _gathered(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`attributes.x` of a field map, where `deal.created` has them."""
    named = {name for name in fields if name.startswith(ATTRIBUTE)}
    held = {name: value for name, value in fields.items() if name not in named}
    given = held.get("attributes", {})
    if named and isinstance(given, dict):
        held["attributes"] = given | {name.removeprefix(ATTRIBUTE): fields[name] for name in named}
    return held
