"""Salesforce Change Data Capture, relayed as JSON and signed as Standard Webhooks."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from libs.common.contracts.values import sequence_number
from services.ingest.domain.crm.bodies import Puzzling, Told, digest, gathered, happened, read
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import ident
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Refresh,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.records import named
from services.ingest.domain.crm.salesforce_changes import READ, told
from services.ingest.domain.crm.standard_signatures import verify
from services.ingest.domain.crm.times import MS, epoch

_HEADER = "ChangeEventHeader"
_PLACES = (("data", "payload"), ("data",), ("payload",), ())
_ABOUT = (_HEADER, "event", "schema", "channel")


def translate(delivery: Delivery, connection: Connection) -> Translation:
    body = read(delivery)
    if not isinstance(body, list | dict):
        raise Unreadable("a change event is an object")
    parts = body if isinstance(body, list) else [body]
    for part in parts:
        _forget_origin(part)
    each = (one for part in parts for one in _records(part))
    translation = gathered(each, lambda part: _told(part, connection), body, delivery.bounds)
    return replace(translation, refreshes=list(dict.fromkeys(translation.refreshes)))


def _forget_origin(part: Any) -> None:
    """`commitUser` tells who made a change, `changeOrigin` is of no use."""
    payload, _ = _payload(part)
    if payload is not None:
        payload[_HEADER].pop("changeOrigin", None)


def _records(part: Any) -> Iterator[Any]:
    """A change of several records as one of each, in the flat form that relays use too; what is no
    change event as it is."""
    payload, event = _payload(part)
    if payload is None:
        yield part
        return
    header = payload[_HEADER]
    ids = header.get("recordIds")
    for one in ids if isinstance(ids, list) and ids else [None]:
        yield {**payload, "event": event, _HEADER: {**header, "recordIds": [one]}}


def _payload(part: Any) -> tuple[dict[str, Any] | None, Any]:
    """What holds the header and the fields, and what tells of the event."""
    for place in _PLACES:
        outer = inner = part
        for name in place:
            outer, inner = inner, inner.get(name) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get(_HEADER), dict):
            return inner, inner.get("event") or outer.get("event")
    return None, None


def _told(part: Any, connection: Connection) -> Iterable[Told]:
    header = part.get(_HEADER) if isinstance(part, dict) else None
    if not isinstance(header, dict):
        raise Puzzling("invalid_event", "there is no ChangeEventHeader")
    entity, kind = named(header, "entityName"), named(header, "changeType")
    if kind == "GAP_OVERFLOW":
        return [Refresh(entity, "*", "overflow")]
    record_id = named({"recordIds": header["recordIds"][0]}, "recordIds")
    if entity in READ and (kind.startswith("GAP_") or record_id.endswith("*")):
        return [Refresh(entity, record_id, "gap")]
    draft = _draft(part, header, record_id, connection)
    carried = {name: value for name, value in part.items() if name not in _ABOUT}
    made = told(entity, kind, record_id, header, carried, draft)
    return made or [draft.skipped(f"salesforce_cdc.{entity}.{kind}", part)]


def _draft(
    part: Mapping[str, Any], header: Mapping[str, Any], record_id: str, connection: Connection
) -> Draft:
    return Draft(
        connection,
        _id(part, header, record_id),
        happened("commitTimestamp", header.get("commitTimestamp"), partial(epoch, unit=MS)),
        sequence=_sequence(header.get("commitNumber")),
        actor=ident(header.get("commitUser")),
    )


def _id(part: Mapping[str, Any], header: Mapping[str, Any], record_id: str) -> str | None:
    """Ids of one commit are in the order of their numbers."""
    key, number = ident(header.get("transactionKey")), ident(header.get("sequenceNumber"))
    if key and number:
        return f"{key}/{number:0>6}/{record_id}"
    event = part.get("event")
    replay_id = ident(event.get("replayId")) if isinstance(event, dict) else None
    if replay_id:
        return f"replay-{replay_id}/{record_id}"
    names = ("entityName", "changeType", "commitTimestamp", "commitNumber")
    told = [ident(header.get(name)) for name in names]
    return digest(*told, record_id) if told[2] else None


def _sequence(number: Any) -> int | None:
    try:
        return sequence_number(number)
    except ValueError:
        return None


CONNECTOR = Connector(verify, translate, signs_time=True)
