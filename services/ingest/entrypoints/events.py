"""`/v1/events`: taking events in, exporting them, telling where one is."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import RowMapping

from libs.common.web.auth import Principal, principal_of, require
from libs.common.web.body import read_body
from libs.common.web.deal_filters import one_of
from libs.common.web.errors import ErrorItem, Forbidden, Invalid, NotFound
from libs.common.web.params import text
from libs.common.web.query import instant
from libs.common.web.quota_headers import tell
from services.ingest.adapters.reads import ExportFilter
from services.ingest.app import counting
from services.ingest.app.ahead import flagged
from services.ingest.app.status import AmbiguousEvent
from services.ingest.domain.examine import TIME_QUALITY
from services.ingest.domain.model import Receipt
from services.ingest.entrypoints.answers import accepted, unavailable
from services.ingest.entrypoints.bodies_documented import EVENTS
from services.ingest.entrypoints.content import Mode, mode_of, read_delivery
from services.ingest.entrypoints.state import ingest_of

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
NDJSON = "application/x-ndjson"
EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A CloudEvent in each line.",
        "content": {NDJSON: {"schema": {"type": "string"}}},
    }
}
router = APIRouter(tags=["events"])
Writer = Annotated[Principal, Depends(require("events:write"))]
Admin = Annotated[Principal, Depends(require("admin"))]


async def sender_or_reader(principal: Annotated[Principal, Depends(principal_of)]) -> Principal:
    """Who sent an event may ask for it as well as who reads deals."""
    if not (principal.may("events:write") or principal.may("deals:read")):
        raise Forbidden("this key lacks events:write and deals:read", code="scope_missing")
    return principal


Asker = Annotated[Principal, Depends(sender_or_reader)]


@router.post("/v1/events", status_code=202, openapi_extra=EVENTS)
async def take_events(request: Request, principal: Writer) -> Response:
    """One event or a batch; a 202 says that each accepted event is durable."""
    ingest = ingest_of(request)
    mode = mode_of(request.headers)
    async with unavailable():
        ingest.quotas.check(principal.tenant_id)
    body = await read_body(request, ingest.settings.max_batch_bytes)
    due = ingest.answer_by
    async with unavailable(), ingest.turns.of(principal.tenant_id, len(body)):
        return await _taken(request, principal, mode, body, due)


async def _taken(
    request: Request, principal: Principal, mode: Mode, body: bytes, due: float
) -> Response:
    """A body on its way from a request to the log, to be answered by `due`."""
    ingest = ingest_of(request)
    now, trace = ingest.clock.now(), _traceparent(request)
    receipt = Receipt(principal.tenant_id, now, traceparent=trace, answer_by=due)
    delivery = read_delivery(mode, request.headers, body, receipt, ingest.settings)
    patience = ingest.settings.lookup_deadline
    events = await flagged(delivery.events, principal.tenant_id, ingest.sandboxes, patience)
    decision = await ingest.acceptor.accept(receipt, events)
    counting.judged("api", events, decision)
    counting.came(decision.fresh, receipt.received_at)
    if standing := ingest.quotas.standing(principal.tenant_id):
        tell(request.scope, standing)
    return accepted(decision, batch=delivery.batch)


@router.get("/v1/events", response_class=StreamingResponse, responses=EXPORTED)
async def export_events(
    request: Request,
    principal: Admin,
    since: Annotated[str | None, Query(alias="from")] = None,
    to: str | None = None,
    types: Annotated[list[str] | None, Query(alias="type")] = None,
    deal_id: str | None = None,
) -> StreamingResponse:
    """Kept events as NDJSON, by time of occurrence, half-open; the answer can be imported again."""
    named = one_of({"type": types}).get("type")
    wanted = ExportFilter(
        since=_instant(since, "from"),
        until=_instant(to, "to"),
        types=named,
        deal_id=text("deal_id", deal_id),
    )
    pages = ingest_of(request).reads.events(principal.tenant_id, wanted)
    return StreamingResponse(_exported(pages), media_type=NDJSON)


@router.get("/v1/events/{event_id:path}")
async def where_is(
    request: Request,
    principal: Asker,
    event_id: str,
    source: str | None = None,
    wait: Literal["folded"] | None = None,
    seconds: Annotated[float, Query(alias="timeout", ge=0, le=30)] = 10.0,
) -> dict[str, Any]:
    """Where an event is; with `wait=folded` the answer comes once it is folded, or at `timeout`."""
    reader = ingest_of(request).status
    key = (principal.tenant_id, text("event_id", event_id) or "", text("source", source))
    try:
        if wait is None:
            status = await reader.status(*key)
        else:
            status = await reader.folded(*key, seconds, request.is_disconnected)
    except AmbiguousEvent as error:
        item = ErrorItem(f"one of: {error}", "ambiguous", parameter="source")
        raise Invalid("several sources have this id; name one", errors=[item]) from None
    if status is None:
        raise NotFound("no such event")
    return asdict(status)


async def _exported(pages: AsyncIterator[Sequence[RowMapping]]) -> AsyncIterator[bytes]:
    async for rows in pages:
        yield b"".join(_line(row) for row in rows)


def _line(row: RowMapping) -> bytes:
    """One structured event; `data` as it is kept, without decoding it."""
    head: dict[str, Any] = {
        "specversion": "1.0",
        "id": row["event_id"],
        "source": row["source"],
        "type": row["type"],
        "time": row["occurred_at"],
        "recordedtime": row["recorded_at"],
    }
    if row["sequence"] is not None:
        head["sequence"] = str(row["sequence"])
    if row["time_quality"] != "given":
        head[TIME_QUALITY] = row["time_quality"]
    data: str = row["data"]
    return orjson.dumps(head)[:-1] + b',"data":' + data.encode() + b"}\n"


def _instant(text: str | None, parameter: str) -> datetime | None:
    return None if text is None else instant(text, parameter)


def _traceparent(request: Request) -> str | None:
    given = request.headers.get("traceparent")
    return given if given is not None and _TRACEPARENT.fullmatch(given) else None
