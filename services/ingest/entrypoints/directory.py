"""`/v1/tenants`."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from libs.common.web.api_keys import new_key
from libs.common.web.auth import Principal, principal_of, require_operator
from libs.common.web.commands import command, documented, refuse_key
from libs.common.web.errors import Conflict, NotFound
from libs.common.web.pages import Limit, Turn
from services.ingest.app.directory import IdTaken, Tenant
from services.ingest.entrypoints.api_keys import SHOWN_ONCE, key_row
from services.ingest.entrypoints.schemas import CreateKey, CreateTenant
from services.ingest.entrypoints.state import IngestState, ingest_of

router = APIRouter(tags=["tenants"])
Operator = Annotated[Principal, Depends(require_operator())]
Anyone = Annotated[Principal, Depends(principal_of)]


@router.post("/v1/tenants", status_code=201, openapi_extra=documented(CreateTenant))
async def create_tenant(request: Request, operator: Operator) -> dict[str, Any]:
    """A tenant with its first admin key, which is shown this once."""
    refuse_key(request, SHOWN_ONCE)
    wanted = await command(request, CreateTenant)
    ingest = ingest_of(request)
    tenant, key = _tenant(wanted, ingest), new_key(ingest.pepper)
    admin = key_row(ingest, tenant.tenant_id, key, CreateKey(name="admin", scopes=["admin"]))
    try:
        await ingest.directory.create_tenant(tenant, admin, operator.actor)
    except IdTaken:
        raise Conflict(f"the id {tenant.tenant_id} is taken", code="id_taken") from None
    return {"tenant": _shown(tenant), "api_key": key.plain}


@router.get("/v1/tenants")
async def list_tenants(
    request: Request, operator: Operator, limit: Limit = 50, cursor: str | None = None
) -> dict[str, Any]:
    """Every tenant, by id."""
    turn = Turn.of(request, "tenants", limit, cursor)
    after = str(turn.after[0]) if turn.after else ""
    tenants = await ingest_of(request).directory.list_tenants(after, turn.fetch)
    return turn.page(tenants, lambda tenant: [tenant.tenant_id], _shown)


@router.get("/v1/tenants/self")
async def read_own_tenant(request: Request, principal: Anyone) -> dict[str, Any]:
    """The credential's tenant."""
    tenant = await ingest_of(request).directory.tenant(principal.tenant_id)
    if tenant is None:
        raise NotFound("this credential belongs to no tenant")
    return _shown(tenant)


def _tenant(wanted: CreateTenant, ingest: IngestState) -> Tenant:
    return Tenant(
        tenant_id=wanted.id,
        name=wanted.name or wanted.id,
        timezone=wanted.timezone,
        currency=wanted.currency,
        fiscal_year_start_month=wanted.fiscal_year_start_month,
        week_start=wanted.week_start,
        sandbox=wanted.sandbox,
        created_at=ingest.clock.now(),
    )


def _shown(tenant: Tenant) -> dict[str, Any]:
    shown = asdict(tenant)
    return {"id": shown.pop("tenant_id")} | shown
