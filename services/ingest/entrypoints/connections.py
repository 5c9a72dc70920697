"""`PUT` and `DELETE /v1/connections/{id}`: settings in versions, secrets that nobody reads."""

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.web.commands import command, documented
from libs.common.web.errors import Conflict, ErrorItem, Invalid, NotFound
from libs.common.web.etags import check_if_match
from services.ingest.adapters import connections
from services.ingest.adapters.connections import ConnectionIdTaken
from services.ingest.adapters.sealing import CannotOpen
from services.ingest.domain.connections import StoredConnection, deleted, next_version
from services.ingest.entrypoints.connection_answers import (
    Configurer,
    ConnectionId,
    NewId,
    answer,
    etag_of,
)
from services.ingest.entrypoints.connection_bodies import (
    PutConnection,
    secret_faults,
    setting_faults,
)
from services.ingest.entrypoints.connections_complete import refuse_incomplete
from services.ingest.entrypoints.connections_mapped import refuse_unmapped
from services.ingest.entrypoints.state import IngestState, ingest_of

router = APIRouter(tags=["connections"])
MOST = 200


@router.put("/v1/connections/{connection_id}", openapi_extra=documented(PutConnection))
async def put_connection(request: Request, principal: Configurer, connection_id: NewId) -> Response:
    """Publish a version. Deliveries follow it within 30 seconds."""
    wanted, ingest = await _wanted(request), ingest_of(request)
    key, actor = (principal.tenant_id, connection_id), principal.actor
    async with ingest.database.for_tenant(principal.tenant_id) as tx:
        held = await _held(tx, key)
        there = None if held is None or held.deleted else held
        check_if_match(request, etag_of(there) if there else None)
        await _refuse_new(tx, wanted, held, there, principal.tenant_id)
        refuse_incomplete(ingest.sealer, wanted, there)
        await refuse_unmapped(tx, wanted, principal.tenant_id)
        if there is None or not _says(ingest, there, wanted):
            sealed = _sealed(ingest, key, there, wanted)
            new = next_version(held, key, wanted.definition(), sealed, ingest.clock.now(), actor)
            await _publish(tx, ingest, held, new)
        shown = await answer(tx, ingest, key, 200 if there else 201)
    ingest.lookup.forget(connection_id)
    return shown


@router.delete("/v1/connections/{connection_id}", status_code=204)
async def delete_connection(
    request: Request, principal: Configurer, connection_id: ConnectionId
) -> Response:
    """Delete a connection with its secrets. Its id stays this tenant's, who may use it again."""
    ingest, actor = ingest_of(request), principal.actor
    async with ingest.database.for_tenant(principal.tenant_id) as tx:
        held = await _held(tx, (principal.tenant_id, connection_id))
        if held is None or held.deleted:
            raise NotFound("no such connection")
        await _publish(tx, ingest, held, deleted(held, ingest.clock.now(), actor))
    ingest.lookup.forget(connection_id)
    return Response(status_code=204)


async def _wanted(request: Request) -> PutConnection:
    wanted = await command(request, PutConnection)
    if faults := list(secret_faults(wanted.kind, wanted.plain() or ())):
        raise Invalid("these secrets could prove nothing", code="invalid_secret", errors=faults)
    if faults := list(setting_faults(wanted, ingest_of(request).clock.now())):
        raise Invalid("not every setting fits this connection", errors=faults)
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
        detail = f"a tenant holds at most {MOST} ids of connections, deleted ones included"
        raise Invalid(detail, code="too_many_connections")


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


def _sealed(
    ingest: IngestState,
    key: tuple[str, str],
    there: StoredConnection | None,
    wanted: PutConnection,
) -> tuple[bytes, ...] | None:
    """The wanted secrets; one that is there already stays as it is, with what is known of it."""
    secrets = wanted.plain()
    if secrets is None:
        return None
    try:
        opened = ingest.sealer.open(*key, there.sealed) if there else ()
    except CannotOpen:
        opened = ()
    held = dict(zip(opened, there.sealed if there else (), strict=False))
    return tuple(held.get(one) or ingest.sealer.seal(*key, [one])[0] for one in secrets)


async def _publish(
    tx: AsyncConnection, ingest: IngestState, held: StoredConnection | None, new: StoredConnection
) -> None:
    try:
        await connections.publish(tx, ingest.clock, held, new)
    except ConnectionIdTaken:
        raise Conflict(f"the id {new.connection_id} is taken", code="id_taken") from None
