"""`GET /v1/connections`: how CRMs deliver, what came, and what is missing."""

from fastapi import APIRouter, Request, Response

from libs.common.web.errors import NotFound
from libs.common.web.pages import Limit
from services.ingest.adapters import connection_reads, connections
from services.ingest.entrypoints.connection_answers import (
    Configurer,
    ConnectionId,
    answer,
    json_answer,
)
from services.ingest.entrypoints.connections_shown import shown, shown_traffic, shown_version
from services.ingest.entrypoints.state import ingest_of

router = APIRouter(tags=["connections"])


@router.get("/v1/connections")
async def list_connections(
    request: Request, principal: Configurer, limit: Limit = 50, cursor: str | None = None
) -> Response:
    """Every connection, by id, with what it delivered."""
    cursors, tenant, ingest = request.app.state.cursors, principal.tenant_id, ingest_of(request)
    after = "" if cursor is None else str(cursors.open(cursor, "connections")[0])
    async with ingest.database.for_tenant(tenant, snapshot=True) as tx:
        found = await connections.page(tx, tenant, after, limit + 1)
        ids = [connection.connection_id for connection in found[:limit]]
        counts = await connection_reads.counts(tx, tenant, ids, ingest.clock.now())
    more = len(found) > limit
    following = cursors.seal([found[limit - 1].connection_id], "connections") if more else None
    items = [shown(one) | shown_traffic(counts.get(one.connection_id)) for one in found[:limit]]
    return json_answer({"items": items, "next_cursor": following, "has_more": more})


@router.get("/v1/connections/{connection_id}")
async def read_connection(
    request: Request, principal: Configurer, connection_id: ConnectionId
) -> Response:
    """A connection, what it delivered, whether it has fallen silent, and which records have to be
    read from the CRM because a delivery did not carry them."""
    ingest, tenant = ingest_of(request), principal.tenant_id
    async with ingest.database.for_tenant(tenant, snapshot=True) as tx:
        return await answer(tx, ingest, (tenant, connection_id), 200)


@router.get("/v1/connections/{connection_id}/versions")
async def list_connection_versions(
    request: Request,
    principal: Configurer,
    connection_id: ConnectionId,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Response:
    """Every version, newest first; that of a deletion included."""
    cursors, name = request.app.state.cursors, f"connection {connection_id}"
    before = 2**31 - 1 if cursor is None else int(cursors.open(cursor, name)[0])
    tenant_id = principal.tenant_id
    async with ingest_of(request).database.for_tenant(tenant_id) as tx:
        found = await connections.versions(tx, tenant_id, connection_id, before, limit + 1)
    if not found and cursor is None:
        raise NotFound("no such connection")
    more = len(found) > limit
    following = cursors.seal([found[limit - 1].version], name) if more else None
    items = [shown_version(version) for version in found[:limit]]
    return json_answer({"items": items, "next_cursor": following, "has_more": more})
