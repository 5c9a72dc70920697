"""What a connection lacks and an operator made good: records to be read anew, missing numbers."""

from typing import Any

from fastapi import APIRouter, Request, Response

from libs.common.web.answers import json_answer
from libs.common.web.commands import command, documented
from libs.common.web.pages import Limit, Turn
from services.ingest.adapters import connection_counters, connection_reads
from services.ingest.adapters.connection_reads import Position
from services.ingest.entrypoints.connection_answers import (
    Configurer,
    ConnectionId,
    existing,
)
from services.ingest.entrypoints.connection_bodies import NumbersFilled, RecordsRead
from services.ingest.entrypoints.state import ingest_of

router = APIRouter(tags=["connections"])


@router.get("/v1/connections/{connection_id}/refreshes")
async def list_refreshes(
    request: Request,
    principal: Configurer,
    connection_id: ConnectionId,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Response:
    """Records to be read from the CRM, by entity and id. An id may be a wildcard, `006*` or `*`."""
    turn = Turn.of(request, f"refreshes {connection_id}", limit, cursor)
    after, tenant = Position(*turn.after or ()), principal.tenant_id
    async with ingest_of(request).database.for_tenant(tenant) as tx:
        await existing(tx, tenant, connection_id)
        found = await connection_reads.refreshes(tx, tenant, connection_id, after, turn.fetch)
    return json_answer(turn.page(found, lambda one: [one["entity"], one["record_id"]], dict))


@router.post(
    "/v1/connections/{connection_id}/refreshes/done", openapi_extra=documented(RecordsRead)
)
async def mark_refreshed(
    request: Request, principal: Configurer, connection_id: ConnectionId
) -> dict[str, Any]:
    """Take records off the list, since they were read. Repeating it changes nothing more."""
    told, ingest = await command(request, RecordsRead), ingest_of(request)
    records = [Position(record.entity, record.record_id) for record in told.records]
    read_at, tenant = told.read_at or ingest.clock.now(), principal.tenant_id
    async with ingest.database.for_tenant(tenant) as tx:
        await existing(tx, tenant, connection_id)
        done = await connection_reads.done(tx, tenant, connection_id, records, read_at)
    return {"done": done}


@router.post(
    "/v1/connections/{connection_id}/missing/done", openapi_extra=documented(NumbersFilled)
)
async def mark_filled(
    request: Request, principal: Configurer, connection_id: ConnectionId
) -> dict[str, Any]:
    """No longer miss these numbers of deliveries, since an import filled the gap. Repeating it
    changes nothing more; numbers that are not missing are passed over."""
    told, tenant = await command(request, NumbersFilled), principal.tenant_id
    async with ingest_of(request).database.for_tenant(tenant) as tx:
        await existing(tx, tenant, connection_id)
        done = await connection_counters.fill(tx, (tenant, connection_id), told.ranges())
    return {"done": done}
