"""`/v1/projection/rebuilds`: fold everything anew beside what is served, compare, switch."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import uuid7
from libs.common.web.auth import Principal, principal_of
from libs.common.web.commands_once import command_once, documented_once
from libs.common.web.errors import Conflict, Forbidden, NotFound
from services.funnel.adapters import rebuild_requests
from services.funnel.app.rebuild_requests import RebuildReport, RebuildRunning
from services.funnel.app.state import FunnelState
from services.funnel.entrypoints.answers import json_answer
from services.funnel.entrypoints.models import Rebuild
from services.funnel.entrypoints.schemas import PostRebuild
from services.funnel.entrypoints.state import funnel_of

router = APIRouter(tags=["projection"])


def _may_rebuild(principal: Annotated[Principal, Depends(principal_of)]) -> Principal:
    """An operator, or the admin of the tenant."""
    if not (principal.is_operator or principal.may("admin")):
        raise Forbidden("this key lacks the scope admin", code="scope_missing")
    return principal


Rebuilder = Annotated[Principal, Depends(_may_rebuild)]


@router.post(
    "/v1/projection/rebuilds",
    status_code=202,
    response_model=Rebuild,
    openapi_extra=documented_once(PostRebuild),
)
async def post_rebuild(request: Request, principal: Rebuilder) -> Response:
    """Ask for a rebuild: of the own tenant, of the one an operator names, or of all."""
    wanted, once = await command_once(request, PostRebuild, "funnel", principal)
    funnel = funnel_of(request)
    rebuild_id = uuid7(funnel.clock)
    async with _transaction(funnel, principal) as tx:
        if told_before := await once.replay(tx):
            return told_before
        tenants = await _tenants(tx, principal, wanted.tenant)
        found = await asked(tx, tenants, rebuild_id, wanted.accept, funnel.clock.now())
        return await once.keep(tx, json_answer(shown(found), 202))


async def asked(
    tx: AsyncConnection, tenants: Sequence[str], rebuild_id: UUID, accept: bool, at: datetime
) -> RebuildReport:
    """A rebuild of these tenants, from here on carried by whichever worker is free."""
    try:
        await rebuild_requests.request(tx, tenants, rebuild_id, accept, at)
    except RebuildRunning as error:
        raise Conflict(str(error), code="rebuild_running") from None
    found = await rebuild_requests.report(tx, rebuild_id, None)
    if found is None:
        raise NotFound("there is no tenant to rebuild")
    return found


def _rebuild_id(
    rebuild_id: Annotated[str, Path(json_schema_extra={"format": "uuid"})],
) -> UUID:
    """What is no UUID is the id of no rebuild."""
    try:
        return UUID(rebuild_id)
    except ValueError:
        raise NotFound("no such rebuild") from None


RebuildId = Annotated[UUID, Depends(_rebuild_id)]


@router.get("/v1/projection/rebuilds/{rebuild_id}", response_model=Rebuild)
async def read_rebuild(request: Request, principal: Rebuilder, rebuild_id: RebuildId) -> Response:
    """How far it is, what differs, whether it has switched."""
    own = None if principal.is_operator else principal.tenant_id
    async with _transaction(funnel_of(request), principal) as tx:
        found = await rebuild_requests.report(tx, rebuild_id, own)
    if found is None:
        raise NotFound("no such rebuild")
    return json_answer(shown(found))


@asynccontextmanager
async def _transaction(funnel: FunnelState, principal: Principal) -> AsyncIterator[AsyncConnection]:
    if principal.is_operator:
        async with funnel.worker_database.across_tenants() as tx:
            yield tx
    else:
        async with funnel.database.for_tenant(principal.tenant_id) as tx:
            yield tx


async def _tenants(tx: AsyncConnection, principal: Principal, named: str | None) -> list[str]:
    """Whose projections are meant; a foreign tenant is one that is not there."""
    if not principal.is_operator:
        if named not in (None, principal.tenant_id):
            raise NotFound("no such tenant")
        return [principal.tenant_id]
    return await operators_tenants(tx, named)


async def operators_tenants(tx: AsyncConnection, named: str | None) -> list[str]:
    """The one that is named, else all; the worker role's transaction."""
    known = await rebuild_requests.every_tenant(tx)
    if named is not None and named not in known:
        raise NotFound("no such tenant")
    return [tenant for tenant in known if named in (None, tenant)]


def shown(found: RebuildReport) -> dict[str, Any]:
    return {
        "rebuild_id": found.rebuild_id,
        "state": found.state,
        "accept": any(part.accept for part in found.parts),
        "total": found.total,
        "done": found.done,
        "differing": found.differing,
        "differences": [asdict(difference) for difference in found.differences],
        "tenants": [asdict(part) for part in found.parts],
    }
