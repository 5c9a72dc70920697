"""`/v1/accounts`, `/v1/leads`, `/v1/users`, `/v1/teams`: what surrounds deals, with validity."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.measures.scope import Instants as Scope
from libs.common.web.errors import NotFound
from libs.common.web.pages import Limit, Turn
from services.funnel.adapters import context_reads
from services.funnel.adapters.context_reads import Entity
from services.funnel.adapters.tenants import time_of
from services.funnel.app.deal_question import At
from services.funnel.entrypoints import models
from services.funnel.entrypoints.answers import json_answer
from services.funnel.entrypoints.deals import Cursor, Instants, Reader
from services.funnel.entrypoints.paths import stored_id
from services.funnel.entrypoints.state import funnel_of

router = APIRouter(tags=["contexts"])
KINDS = ("account", "lead", "user", "team")
Endpoint = Callable[..., Awaitable[Response]]


def _entity_id(entity_id: Annotated[str, Path(max_length=200)]) -> str:
    return stored_id("entity_id", entity_id)


EntityId = Annotated[str, Depends(_entity_id)]


def _list(kind: str) -> Endpoint:
    async def entities(
        request: Request, principal: Reader, at: Instants, limit: Limit = 50, cursor: Cursor = None
    ) -> Response:
        funnel, tenant = funnel_of(request), principal.tenant_id
        turn = Turn.of(request, f"{kind} {at}", limit, cursor)
        (after,) = turn.after or [""]
        async with funnel.database.for_tenant(tenant, snapshot=True) as tx:
            scope = await _scope(request, tx, at)
            found = await context_reads.page(tx, tenant, kind, scope, after, turn.fetch)
        page = turn.page(found, lambda entity: [entity.id], lambda entity: _shown(kind, entity))
        return json_answer(page)

    entities.__doc__ = f"Every {kind} that is there as of the two instants, by id."
    return entities


def _read(kind: str) -> Endpoint:
    async def entity(
        request: Request, principal: Reader, entity_id: EntityId, at: Instants
    ) -> Response:
        funnel, tenant = funnel_of(request), principal.tenant_id
        async with funnel.database.for_tenant(tenant, snapshot=True) as tx:
            scope = await _scope(request, tx, at)
            found = await context_reads.one(tx, tenant, kind, scope, entity_id)
        if found is None:
            raise NotFound(f"no such {kind}")
        return json_answer(_shown(kind, found))

    entity.__doc__ = f"One {kind} as of the two instants."
    return entity


async def _scope(request: Request, tx: AsyncConnection, at: At) -> Scope:
    time = await time_of(tx, funnel_of(request).clock.now())
    return Scope(at.valid_at or time.shown_to, at.known_at)


def _shown(kind: str, entity: Entity) -> dict[str, Any]:
    """What its events said of it up to then, and over which time that holds."""
    validity = {"valid_from": entity.valid_from, "valid_to": entity.valid_to}
    return {f"{kind}_id": entity.id} | entity.data | validity


for _kind in KINDS:
    router.add_api_route(
        f"/v1/{_kind}s",
        _list(_kind),
        methods=["GET"],
        name=f"list_{_kind}s",
        response_model=models.Entities,
    )
    router.add_api_route(
        f"/v1/{_kind}s/{{entity_id:path}}",
        _read(_kind),
        methods=["GET"],
        name=f"read_{_kind}",
        response_model=models.Entity,
    )
