"""`/v1/tenants` and `/v1/api-keys`."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from libs.common.web.auth import (
    NewKey,
    Principal,
    new_key,
    principal_of,
    require,
    require_operator,
)
from libs.common.web.commands import command, documented, refuse_key
from libs.common.web.cursors import Cursors
from libs.common.web.errors import Conflict, ErrorItem, Invalid, NotFound
from libs.common.web.pages import Limit
from services.ingest.app.directory import IdTaken, KeyInfo, NewKeyRow, Tenant
from services.ingest.entrypoints.schemas import CreateKey, CreateTenant
from services.ingest.entrypoints.state import IngestState, ingest_of

router = APIRouter(tags=["tenants"])
Operator = Annotated[Principal, Depends(require_operator())]
Admin = Annotated[Principal, Depends(require("admin"))]
Anyone = Annotated[Principal, Depends(principal_of)]
_SHOWN_ONCE = (
    "not taken here: the answer holds a key that is shown once and never stored, so it could not"
    " be given again; list what there is, revoke what is unknown and ask anew"
)


@router.post("/v1/tenants", status_code=201, openapi_extra=documented(CreateTenant))
async def create_tenant(request: Request, operator: Operator) -> dict[str, Any]:
    """A tenant with its first admin key, which is shown this once."""
    refuse_key(request, _SHOWN_ONCE)
    wanted = await command(request, CreateTenant)
    ingest = ingest_of(request)
    tenant, key = _tenant(wanted, ingest), new_key(ingest.pepper)
    admin = _row(ingest, tenant.tenant_id, key, CreateKey(name="admin", scopes=["admin"]))
    try:
        await ingest.directory.create_tenant(tenant, admin, operator.actor)
    except IdTaken:
        raise Conflict(f"the id {tenant.tenant_id} is taken", code="id_taken") from None
    return {"tenant": _shown_tenant(tenant), "api_key": key.plain}


@router.get("/v1/tenants")
async def list_tenants(
    request: Request, operator: Operator, limit: Limit = 50, cursor: str | None = None
) -> dict[str, Any]:
    """Every tenant, by id."""
    ingest, cursors = ingest_of(request), request.app.state.cursors
    tenants = await ingest.directory.list_tenants(_after(cursors, cursor, "tenants"), limit + 1)
    return _page(cursors, "tenants", [_shown_tenant(tenant) for tenant in tenants], limit)


@router.get("/v1/tenants/self")
async def read_own_tenant(request: Request, principal: Anyone) -> dict[str, Any]:
    """The credential's tenant."""
    tenant = await ingest_of(request).directory.tenant(principal.tenant_id)
    if tenant is None:
        raise NotFound("this credential belongs to no tenant")
    return _shown_tenant(tenant)


@router.post("/v1/api-keys", status_code=201, openapi_extra=documented(CreateKey))
async def create_key(request: Request, principal: Admin) -> dict[str, Any]:
    """A key of the own tenant; `key` is shown this once."""
    refuse_key(request, _SHOWN_ONCE)
    ingest, wanted = ingest_of(request), await command(request, CreateKey)
    if wanted.expires_at is not None and wanted.expires_at <= ingest.clock.now():
        item = ErrorItem("must lie in the future", "past", pointer="/expires_at")
        raise Invalid("the key would be expired", errors=[item])
    key = new_key(ingest.pepper)
    row = _row(ingest, principal.tenant_id, key, wanted)
    await ingest.directory.create_key(row, principal.actor)
    return _shown_key(row.info) | {"key": key.plain}


@router.get("/v1/api-keys")
async def list_keys(
    request: Request, principal: Admin, limit: Limit = 50, cursor: str | None = None
) -> dict[str, Any]:
    """The tenant's keys without their secrets, revoked ones included."""
    ingest, cursors = ingest_of(request), request.app.state.cursors
    after = _after(cursors, cursor, "api-keys")
    keys = await ingest.directory.list_keys(principal.tenant_id, after, limit + 1)
    return _page(cursors, "api-keys", [_shown_key(key) for key in keys], limit)


@router.delete("/v1/api-keys/{key_id}", status_code=204)
async def revoke_key(request: Request, principal: Admin, key_id: str) -> Response:
    """Revoke a key; processes that have it cached refuse it within 30 seconds."""
    directory = ingest_of(request).directory
    if not await directory.revoke_key(principal.tenant_id, key_id, principal.actor):
        raise NotFound("no such key")
    return Response(status_code=204)


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


def _row(ingest: IngestState, tenant_id: str, key: NewKey, wanted: CreateKey) -> NewKeyRow:
    info = KeyInfo(
        key_id=key.key_id,
        name=wanted.name,
        scopes=tuple(wanted.scopes),
        created_at=ingest.clock.now(),
        expires_at=wanted.expires_at,
        revoked_at=None,
    )
    return NewKeyRow(tenant_id, info, key.key_hash)


def _shown_tenant(tenant: Tenant) -> dict[str, Any]:
    shown = asdict(tenant)
    return {"id": shown.pop("tenant_id")} | shown


def _shown_key(key: KeyInfo) -> dict[str, Any]:
    shown = asdict(key)
    return {"id": shown.pop("key_id")} | shown


def _after(cursors: Cursors, cursor: str | None, fingerprint: str) -> str:
    return "" if cursor is None else str(cursors.open(cursor, fingerprint)[0])


def _page(
    cursors: Cursors, fingerprint: str, items: list[dict[str, Any]], limit: int
) -> dict[str, Any]:
    more = len(items) > limit
    shown = items[:limit]
    following = cursors.seal([shown[-1]["id"]], fingerprint) if more else None
    return {"items": shown, "next_cursor": following, "has_more": more}
