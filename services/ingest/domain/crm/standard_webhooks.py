"""Standard Webhooks: `{type, timestamp, data}` of the catalogue, under the sender's own ids."""

from collections.abc import Iterable, Mapping
from typing import Any

from libs.common.contracts.catalogue import CATALOGUE
from libs.common.contracts.cloudevents import IncomingEvent
from libs.common.contracts.events import ATTRIBUTE
from services.ingest.domain.crm.bodies import Puzzling, gathered, happened, read
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import ident
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.standard_signatures import verify
from services.ingest.domain.crm.times import iso

_STAGES, _NESTED = ("stage_id", "from_stage_id"), ("changes", "previous")


def translate(delivery: Delivery, connection: Connection) -> Translation:
    body = read(delivery)
    if not isinstance(body, dict):
        raise Unreadable("a delivery is an object with type, timestamp and data")
    message_id = delivery.headers.get("webhook-id")
    return gathered([body], lambda part: _events(part, message_id, connection))


def _events(
    part: Mapping[str, Any], message_id: str | None, connection: Connection
) -> Iterable[IncomingEvent]:
    type_, data = part.get("type"), part.get("data")
    if not isinstance(type_, str) or not type_.isprintable():
        raise Puzzling("invalid_type", "type names an event of the catalogue")
    draft = Draft(connection, message_id, happened("timestamp", part.get("timestamp"), iso))
    if type_ not in CATALOGUE:
        yield draft.skipped(type_, data)
    elif not isinstance(data, dict):
        raise Puzzling("invalid_field", "data is an object")
    else:
        yield draft.event(type_, _ours(type_, data, connection))


def _ours(type_: str, data: Mapping[str, Any], connection: Connection) -> dict[str, Any]:
    """The sender's ids and names in ours."""
    given = _mapped(data, connection) if type_ == "deal.created" else _placed(data, connection)
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
    return _placed(renamed, connection)


def _placed(fields: Mapping[str, Any], connection: Connection) -> dict[str, Any]:
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


CONNECTOR = Connector(verify, translate, signs_time=True)
