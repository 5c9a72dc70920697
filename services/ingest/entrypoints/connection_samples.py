"""`POST /v1/connections/{id}/test`: what a delivery would become. Nothing is accepted or kept."""

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from libs.common.contracts.cloudevents import IncomingEvent
from libs.common.contracts.values import json_fault
from libs.common.web.body import read_body
from libs.common.web.commands import documented, parsed_command, refuse_key
from libs.common.web.errors import UnsupportedMedia
from services.ingest.adapters.sealing import CannotOpen
from services.ingest.app.connector_faults import ConnectorFailed
from services.ingest.domain.connections import Live, live
from services.ingest.domain.crm.model import (
    Delivery,
    Incomplete,
    Puzzle,
    Refused,
    Translation,
    Unreadable,
)
from services.ingest.domain.examine import examine_incoming
from services.ingest.domain.letters import written
from services.ingest.domain.model import Candidate, Examined, Receipt
from services.ingest.entrypoints.connection_answers import (
    Configurer,
    ConnectionId,
    existing,
)
from services.ingest.entrypoints.connection_bodies import Sample
from services.ingest.entrypoints.connections_mapped import mapping_of
from services.ingest.entrypoints.state import IngestState, ingest_of
from services.ingest.entrypoints.webhook_answers import connector_failed, secrets_of_no_use

router = APIRouter(tags=["connections"])
_PROOF = re.compile(r"signature|sig-|authorization", re.I)
_MOST = 2 * 1024 * 1024
"""A delivery of 1 MiB, written as a JSON text."""


@router.post("/v1/connections/{connection_id}/test", openapi_extra=documented(Sample))
async def test_connection(
    request: Request, principal: Configurer, connection_id: ConnectionId
) -> Response:
    """Events, puzzles and records to be read that a sample makes, and whether its signature, if it
    has one, would be taken now."""
    refuse_key(request, "it has no effect to be repeated")
    sample, ingest = await _sample(request), ingest_of(request)
    tenant = principal.tenant_id
    async with ingest.database.for_tenant(tenant) as tx:
        stored = await existing(tx, tenant, connection_id)
        mapping = await mapping_of(tx, ingest, tenant, stored.definition["mapping_id"])
    try:
        secrets = ingest.sealer.open(tenant, connection_id, stored.sealed)
    except CannotOpen:
        raise secrets_of_no_use() from None
    seen = stored.signature_seen
    tried = live(tenant, connection_id, stored.definition, secrets, mapping, seen=seen)
    delivery = _delivery(sample, ingest.clock.now())
    try:
        return await asyncio.to_thread(lambda: _answer(_shown(ingest, tried, delivery)))
    except ConnectorFailed:
        raise connector_failed() from None


async def _sample(request: Request) -> Sample:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise UnsupportedMedia("send application/json")
    return parsed_command(await read_body(request, _MOST), Sample)


def _delivery(sample: Sample, now: datetime) -> Delivery:
    body = sample.body.encode() if isinstance(sample.body, str) else orjson.dumps(sample.body)
    headers = {n.lower(): v for n, v in sample.headers.items()}
    return Delivery(body, headers, sample.query, received_at=now)


def _shown(ingest: IngestState, tried: Live, delivery: Delivery) -> dict[str, Any]:
    unreadable, told = None, Translation()
    try:
        told = ingest.receiver.translate(tried, delivery)
    except Unreadable as error:
        unreadable = str(error)
    receipt = Receipt(tried.tenant_id, ingest.clock.now())
    examined = [examine_incoming(event, receipt) for event in told.events]
    return {
        "proof": _proof(ingest, tried, delivery),
        "unreadable": unreadable,
        "events": _events(told.events, examined),
        "puzzles": [_puzzle(puzzle, delivery) for puzzle in told.puzzles],
        "refreshes": [
            {"entity": one.entity, "record_id": one.record_id, "reason": one.reason}
            for one in told.refreshes
        ],
    }


def _proof(ingest: IngestState, tried: Live, delivery: Delivery) -> dict[str, Any] | None:
    """`None` where the sample carries none."""
    carried = any(map(_PROOF.search, delivery.headers)) or tried.kind in (
        "zoho",
        "salesforce_outbound",
    )
    if not carried:
        return None
    try:
        place = ingest.receiver.proof(tried, delivery, ingest.clock.now())
    except Refused as error:
        return {"verifies": False, "code": error.code, "detail": error.detail}
    except Incomplete as error:
        return {"verifies": False, "code": error.code, "detail": str(error)}
    return {"verifies": True, "secret": place}


def _events(events: Sequence[IncomingEvent], examined: Sequence[Examined]) -> list[dict[str, Any]]:
    return [_event(event, judged) for event, judged in zip(events, examined, strict=True)]


def _event(event: IncomingEvent, judged: Examined) -> dict[str, Any]:
    """In the form of `POST /v1/events`; an id that is missing is the one it would get."""
    accepted = isinstance(judged, Candidate)
    return {
        "id": judged.envelope.id if isinstance(judged, Candidate) else event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time,
        "sequence": None if event.sequence is None else str(event.sequence),
        "data": event.data,
        "status": "accepted" if accepted else "rejected",
        "code": judged.code,
    }


def _puzzle(puzzle: Puzzle, delivery: Delivery) -> dict[str, Any]:
    """A part that JSON cannot hold is shown as its text."""
    plain = not isinstance(puzzle.raw, bytes) and json_fault(puzzle.raw) is None
    raw = puzzle.raw if plain else written(puzzle.raw, delivery).decode(errors="replace")
    return {"code": puzzle.code, "detail": puzzle.detail, "raw": raw}


def _answer(value: dict[str, Any]) -> Response:
    """Numbers may have more digits than a faster writer takes."""
    content = json.dumps(value, default=datetime.isoformat)
    return Response(content, media_type="application/json")
