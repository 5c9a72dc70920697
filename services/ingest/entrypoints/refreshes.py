"""Records that a connection told of without saying all: which ones, and that they were read."""

from typing import Any

from fastapi import APIRouter, Request, Response

from libs.common.web.commands import command, documented
from libs.common.web.pages import Limit
from services.ingest.adapters import connection_reads
from services.ingest.adapters.connection_reads import Position
from services.ingest.entrypoints.connection_answers import (
    Configurer,
    ConnectionId,
    existing,
    json_answer,
)
from services.ingest.entrypoints.connection_bodies import RecordsRead
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
    cursors, name = request.app.state.cursors, f"refreshes {connection_id}"
    after = Position() if cursor is None else Position(*cursors.open(cursor, name))
    tenant = principal.tenant_id
    async with ingest_of(request).database.for_tenant(tenant) as tx:
        await existing(tx, tenant, connection_id)
        found = await connection_reads.refreshes(tx, tenant, connection_id, after, limit + 1)
    more = len(found) > limit
    last = found[limit - 1] if more else None
    following = cursors.seal([last["entity"], last["record_id"]], name) if last else None
    return json_answer({"items": found[:limit], "next_cursor": following, "has_more": more})


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
