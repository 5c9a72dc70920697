"""`/v1/connections`: how CRMs deliver natively; settings in versions, secrets that nobody reads."""

import re
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.web.auth import Principal, require
from libs.common.web.commands import command, documented
from libs.common.web.errors import Conflict, ErrorItem, Invalid, NotFound, NotSupportedYet
from libs.common.web.etags import check_if_match, strong_etag
from libs.common.web.pages import Limit
from libs.common.web.query import refused
from services.ingest.adapters import connection_reads, connections
from services.ingest.adapters.connections import ConnectionIdTaken
from services.ingest.adapters.sealing import CannotOpen
from services.ingest.domain.connections import StoredConnection, deleted, next_version
from services.ingest.domain.crm.registry import CONNECTORS
from services.ingest.entrypoints.connection_bodies import PutConnection, secret_faults, unbuilt
from services.ingest.entrypoints.connections_shown import (
    shown,
    shown_refreshes,
    shown_traffic,
    shown_version,
)
from services.ingest.entrypoints.state import IngestState, ingest_of

router = APIRouter(tags=["connections"])
Configurer = Annotated[Principal, Depends(require("config:write"))]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)
MOST = 200
FIRST = 100
"""Records to be read anew that a connection shows by itself."""


def existing_id(connection_id: str) -> str:
    """An id that a connection may have; others are of none."""
    if not _ID.fullmatch(connection_id):
        raise NotFound("no such connection")
    return connection_id


def _new_id(connection_id: str) -> str:
    if not _ID.fullmatch(connection_id):
        detail = "begins with a letter or digit, then at most 99 letters, digits, '_' or '-'"
        raise refused("connection_id", detail)
    return connection_id


NewId = Annotated[str, Depends(_new_id)]
ConnectionId = Annotated[str, Depends(existing_id)]


@router.put("/v1/connections/{connection_id}", openapi_extra=documented(PutConnection))
async def put_connection(request: Request, principal: Configurer, connection_id: NewId) -> Response:
    """Publish a version. Deliveries follow it within 30 seconds."""
    wanted, ingest = await _wanted(request), ingest_of(request)
    key, actor = (principal.tenant_id, connection_id), f"key:{principal.key_id}"
    async with ingest.database.for_tenant(principal.tenant_id) as tx:
        held = await _held(tx, key)
        there = None if held is None or held.deleted else held
        check_if_match(request, _etag(there) if there else None)
        await _refuse_new(tx, wanted, held, there, principal.tenant_id)
        now = there
        if there is None or not _says(ingest, there, wanted):
            secrets = wanted.plain()
            sealed = None if secrets is None else ingest.sealer.seal(*key, secrets)
            at = ingest.clock.now()
            now = next_version(held, key, wanted.definition(), sealed, at, actor)
            await _publish(tx, ingest, held, now)
        answer = await _answer(tx, ingest, key, 200 if there else 201)
    ingest.lookup.forget(connection_id)
    return answer


@router.get("/v1/connections")
async def list_connections(
    request: Request, principal: Configurer, limit: Limit = 50, cursor: str | None = None
) -> Response:
    """Every connection, by id."""
    cursors, tenant = request.app.state.cursors, principal.tenant_id
    after = "" if cursor is None else str(cursors.open(cursor, "connections")[0])
    async with ingest_of(request).database.for_tenant(tenant) as tx:
        found = await connections.page(tx, tenant, after, limit + 1)
    more = len(found) > limit
    following = cursors.seal([found[limit - 1].connection_id], "connections") if more else None
    items = [shown(connection) for connection in found[:limit]]
    return json_answer({"items": items, "next_cursor": following, "has_more": more})


@router.get("/v1/connections/{connection_id}")
async def read_connection(
    request: Request, principal: Configurer, connection_id: ConnectionId
) -> Response:
    """A connection, what it delivered, whether it has fallen silent, and which records have to be
    read from the CRM because a delivery did not carry them."""
    ingest, tenant = ingest_of(request), principal.tenant_id
    async with ingest.database.for_tenant(tenant, snapshot=True) as tx:
        return await _answer(tx, ingest, (tenant, connection_id), 200)


@router.get("/v1/connections/{connection_id}/versions")
async def list_connection_versions(
    request: Request,
    principal: Configurer,
    connection_id: ConnectionId,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Response:
    """Every version, newest first; that of a deletion included."""
    cursors, name, tenant = request.app.state.cursors, f"connection {connection_id}", principal
    before = 2**31 - 1 if cursor is None else int(cursors.open(cursor, name)[0])
    tenant_id = tenant.tenant_id
    async with ingest_of(request).database.for_tenant(tenant_id) as tx:
        found = await connections.versions(tx, tenant_id, connection_id, before, limit + 1)
    if not found and cursor is None:
        raise NotFound("no such connection")
    more = len(found) > limit
    following = cursors.seal([found[limit - 1].version], name) if more else None
    items = [shown_version(version) for version in found[:limit]]
    return json_answer({"items": items, "next_cursor": following, "has_more": more})


@router.delete("/v1/connections/{connection_id}", status_code=204)
async def delete_connection(
    request: Request, principal: Configurer, connection_id: ConnectionId
) -> Response:
    """Delete a connection with its secrets. Its id stays this tenant's, who may use it again."""
    ingest, actor = ingest_of(request), f"key:{principal.key_id}"
    async with ingest.database.for_tenant(principal.tenant_id) as tx:
        held = await _held(tx, (principal.tenant_id, connection_id))
        if held is None or held.deleted:
            raise NotFound("no such connection")
        await _publish(tx, ingest, held, deleted(held, ingest.clock.now(), actor))
    ingest.lookup.forget(connection_id)
    return Response(status_code=204)


async def existing(tx: AsyncConnection, tenant_id: str, connection_id: str) -> StoredConnection:
    """The connection, or 404."""
    found = await connections.one(tx, tenant_id, connection_id)
    if found is None or found.deleted:
        raise NotFound("no such connection")
    return found


def json_answer(value: Any, status: int = 200, etag: str | None = None) -> Response:
    body = orjson.dumps(value, option=orjson.OPT_UTC_Z)
    headers = None if etag is None else {"ETag": etag}
    return Response(body, status, headers, media_type="application/json")


async def _wanted(request: Request) -> PutConnection:
    wanted = await command(request, PutConnection)
    if missing := list(unbuilt(wanted, CONNECTORS)):
        raise NotSupportedYet("this connection asks for what is not built yet", errors=missing)
    if faults := list(secret_faults(wanted.kind, wanted.plain() or ())):
        raise Invalid("these secrets could prove nothing", code="invalid_secret", errors=faults)
    return wanted


async def _held(tx: AsyncConnection, key: tuple[str, str]) -> StoredConnection | None:
    await connections.hold(tx, key[0])
    return await connections.one(tx, *key)


async def _refuse_new(
    tx: AsyncConnection,
    wanted: PutConnection,
    held: StoredConnection | None,
    there: StoredConnection | None,
    tenant_id: str,
) -> None:
    if there is None and wanted.secrets is None:
        item = ErrorItem("what does not prove its origin is not taken", "missing_field",
                         pointer="/secrets")  # fmt: skip
        raise Invalid("a new connection needs its secrets", errors=[item])
    if held is None and await connections.count(tx, tenant_id) >= MOST:
        raise Invalid(f"a tenant has at most {MOST} connections", code="too_many_connections")


def _says(ingest: IngestState, there: StoredConnection, wanted: PutConnection) -> bool:
    """Whether nothing would change."""
    if there.definition != wanted.definition():
        return False
    secrets = wanted.plain()
    try:
        held = ingest.sealer.open(there.tenant_id, there.connection_id, there.sealed)
    except CannotOpen:
        return secrets is None
    return secrets is None or secrets == held


async def _publish(
    tx: AsyncConnection, ingest: IngestState, held: StoredConnection | None, new: StoredConnection
) -> None:
    try:
        await connections.publish(tx, ingest.clock, held, new)
    except ConnectionIdTaken:
        raise Conflict(f"the id {new.connection_id} is taken", code="id_taken") from None


async def _answer(
    tx: AsyncConnection, ingest: IngestState, key: tuple[str, str], status: int
) -> Response:
    found = await existing(tx, *key)
    counts = await connection_reads.counts(tx, *key, ingest.clock.now())
    waiting = await connection_reads.waiting(tx, *key)
    first = await connection_reads.refreshes(tx, *key, connection_reads.Position(), FIRST)
    body = shown(found) | shown_traffic(counts) | shown_refreshes(waiting, first)
    return json_answer(body, status, _etag(found))


def _etag(connection: StoredConnection) -> str:
    return strong_etag("connection", connection.connection_id, connection.version)
