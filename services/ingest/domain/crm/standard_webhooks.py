"""Standard Webhooks: `{type, timestamp, data}` of the catalogue, under the sender's own ids."""

from collections.abc import Iterable, Mapping
from typing import Any

from libs.common.contracts.catalogue import CATALOGUE
from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.crm.bodies import Puzzling, gathered, happened, read
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.placed import placed
from services.ingest.domain.crm.standard_signatures import verify
from services.ingest.domain.crm.times import iso


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
        yield draft.event(type_, placed(type_, data, connection))


CONNECTOR = Connector(verify, translate, signs_time=True)
