"""Deliveries that a connection recorded, redacted: for regression tests of what it is sent."""

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from libs.common.web.pages import Turn
from services.ingest.adapters import recordings
from services.ingest.adapters.recordings import Before
from services.ingest.app.recording import KEPT_FOR
from services.ingest.entrypoints.connection_answers import Configurer, ConnectionId, existing
from services.ingest.entrypoints.state import ingest_of

router = APIRouter(tags=["connections"])
Some = Annotated[int, Query(ge=1, le=100, description="Items per page.")]


@router.get("/v1/connections/{connection_id}/deliveries")
async def list_deliveries(
    request: Request,
    principal: Configurer,
    connection_id: ConnectionId,
    limit: Some = 20,
    cursor: str | None = None,
) -> Response:
    """What the connection recorded until `record_until`, newest first: at most 1,000 deliveries of
    the last 30 days. `body` is redacted and a text, as `POST .../test` takes it; null if it was
    unreadable or larger than 64 KiB. `events` are what it made, redacted alike."""
    turn = Turn.of(request, f"deliveries {connection_id}", limit, cursor)
    ingest, tenant = ingest_of(request), principal.tenant_id
    since = ingest.clock.now() - KEPT_FOR
    async with ingest.database.for_tenant(tenant) as tx:
        await existing(tx, tenant, connection_id)
        key = (tenant, connection_id)
        found = await recordings.page(tx, key, since, _before(turn), turn.fetch)
    return _answer(turn.page(found, _place, _shown))


@router.delete("/v1/connections/{connection_id}/deliveries", status_code=204)
async def forget_deliveries(
    request: Request, principal: Configurer, connection_id: ConnectionId
) -> Response:
    """Forget all recorded deliveries of the connection. It goes on recording, if it does."""
    tenant = principal.tenant_id
    async with ingest_of(request).database.for_tenant(tenant) as tx:
        await existing(tx, tenant, connection_id)
        await recordings.forget(tx, (tenant, connection_id))
    return Response(status_code=204)


def _before(turn: Turn) -> Before:
    if turn.after is None:
        return Before()
    at, delivery_id = turn.after
    return Before(datetime.fromisoformat(at), delivery_id)


def _place(row: dict[str, Any]) -> list[str]:
    return [row["received_at"].isoformat(), str(row["delivery_id"])]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row["delivery_id"]),
        "received_at": row["received_at"],
        "verdict": row["verdict"],
        "headers": json.loads(row["headers"]),
        "body": row["body"],
        "events": json.loads(row["events"]),
    }


def _answer(value: dict[str, Any]) -> Response:
    """Numbers may have more digits than a faster writer takes."""
    return Response(json.dumps(value, default=_instant), media_type="application/json")


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
