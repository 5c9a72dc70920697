"""`GET /v1/connections`: how CRMs deliver, what came, and what is missing."""

from fastapi import APIRouter, Request, Response

from libs.common.web.answers import json_answer
from libs.common.web.errors import NotFound
from libs.common.web.pages import BEYOND_VERSIONS, Limit, Turn
from services.ingest.adapters import connection_reads, connections
from services.ingest.entrypoints.connection_answers import (
    Configurer,
    ConnectionId,
    answer,
)
from services.ingest.entrypoints.connections_shown import shown, shown_traffic, shown_version
from services.ingest.entrypoints.state import ingest_of

router = APIRouter(tags=["connections"])


@router.get("/v1/connections")
async def list_connections(
    request: Request, principal: Configurer, limit: Limit = 50, cursor: str | None = None
) -> Response:
    """Every connection, by id, with what it delivered."""
    tenant, ingest = principal.tenant_id, ingest_of(request)
    turn = Turn.of(request, "connections", limit, cursor)
    (after,) = turn.after or [""]
    async with ingest.database.for_tenant(tenant, snapshot=True) as tx:
        found = await connections.page(tx, tenant, after, turn.fetch)
        ids = [connection.connection_id for connection in found]
        counts = await connection_reads.counts(tx, tenant, ids, ingest.clock.now())
    return json_answer(
        turn.page(
            found,
            lambda one: [one.connection_id],
            lambda one: shown(one) | shown_traffic(counts.get(one.connection_id)),
        )
    )


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
    turn = Turn.of(request, f"connection {connection_id}", limit, cursor)
    (before,) = turn.after or [BEYOND_VERSIONS]
    tenant_id = principal.tenant_id
    async with ingest_of(request).database.for_tenant(tenant_id) as tx:
        found = await connections.versions(tx, tenant_id, connection_id, before, turn.fetch)
    if not found and turn.after is None:
        raise NotFound("no such connection")
    return json_answer(turn.page(found, lambda version: [version.version], shown_version))
