"""Any sender of JSON with HTTP Basic credentials: its bodies are translated by a mapping."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from libs.common.contracts.cloudevents import IncomingEvent
from libs.common.contracts.values import json_fault
from services.ingest.domain.crm.bodies import Puzzling, Told, gathered, or_skipped, read
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.placed import placed
from services.ingest.domain.crm.signing import basic_auth
from services.ingest.domain.mapping.bodies import TooManyRows, scope, split
from services.ingest.domain.mapping.compiled import CompiledMapping
from services.ingest.domain.mapping.faults import Unfit
from services.ingest.domain.mapping.made import Load

UNMAPPED = "generic.unmapped"
"""A row that the mapping takes for no event: stored and skipped."""


class NoMapping(Exception):
    """A connection whose mapping is gone: a fault on our side, the sender may try again."""


def translate(delivery: Delivery, connection: Connection) -> Translation:
    mapping = connection.mapping
    if mapping is None:
        raise NoMapping(connection.connection_id)
    body = read(delivery)
    try:
        rows, rest = split(mapping, body, delivery.bounds.parts)
    except TooManyRows as error:
        raise Unreadable(str(error)) from None
    except Unfit as error:
        return gathered([body], _puzzling(str(error)))
    if mapping.document.rows and json_fault(rest):
        return gathered([body], _puzzling("the body cannot be stored"))
    return gathered(
        rows, lambda row: _told(row, rest, delivery, connection, mapping), body, delivery.bounds
    )


def _told(
    row: Any, rest: Any, delivery: Delivery, connection: Connection, mapping: CompiledMapping
) -> Iterable[Told]:
    try:
        seen = scope(row, rest, delivery.headers)
    except Unfit as error:
        raise Puzzling("invalid_event", str(error)) from None
    made = mapping.events(seen, connection.source, Load(delivery.bounds.bytes))
    events = [_placed(event, connection) for event in made]
    return or_skipped(events, Draft(connection, None, None).skipped(UNMAPPED, row))


def _placed(event: IncomingEvent, connection: Connection) -> IncomingEvent:
    data: Mapping[str, Any] = event.data
    return replace(event, data=placed(event.type, data, connection))


def _puzzling(detail: str) -> Any:
    def told(_: Any) -> Iterable[Told]:
        raise Puzzling("invalid_event", detail)

    return told


CONNECTOR = Connector(basic_auth, translate, signs_time=False)
