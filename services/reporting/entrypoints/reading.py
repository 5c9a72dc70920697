"""One answer: one snapshot of the database, an ETag before the work, precise refusals."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from libs.common.clock import Clock
from libs.common.measures.errors import MeasureRefused
from libs.common.measures.scope import Instants
from libs.common.web.auth import Principal
from libs.common.web.errors import NotFound
from libs.common.web.etags import matches, not_modified, strong_etag
from libs.common.web.query import floored, refused
from services.reporting.adapters.reads import TransactionReads
from services.reporting.app.measuring import Asking
from services.reporting.app.state import ReportingState
from services.reporting.domain.facts import TenantFacts
from services.reporting.domain.questions import Common, Setting

UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed since the copy that the client has."}
}
CACHE = {"Cache-Control": "private, max-age=15"}


async def read(
    request: Request,
    principal: Principal,
    asked: Common,
    answer: Callable[[Asking], Awaitable[BaseModel]],
) -> Response:
    """Answer, or say by one look-up that the client's copy is still right."""
    async with reading(request, principal) as (state, reads, tenant):
        setting = _setting(asked, tenant, state.clock)
        etag = _etag(request, setting)
        if matches(request, etag):
            return not_modified(etag, headers=CACHE)
        found = await answer(Asking(state, reads, setting, definitions(request)))
    return Response(
        found.model_dump_json(), media_type="application/json", headers={"ETag": etag, **CACHE}
    )


@asynccontextmanager
async def reading(
    request: Request, principal: Principal
) -> AsyncIterator[tuple[ReportingState, TransactionReads, TenantFacts]]:
    """A REPEATABLE READ transaction of the caller's tenant; what measures refuse becomes 422."""
    state: ReportingState = request.app.state.reporting
    try:
        async with state.database.for_tenant(principal.tenant_id, snapshot=True) as tx:
            reads = TransactionReads(tx)
            await reads.pin_plans()
            tenant = await reads.tenant_facts()
            if tenant is None:
                raise NotFound("no such tenant")
            yield state, reads, tenant
    except MeasureRefused as refusal:
        raise refused(refusal.parameter, refusal.detail, refusal.code) from None


def definitions(request: Request) -> str:
    """Where the definitions can be read, as seen by the client."""
    return f"{str(request.base_url).rstrip('/')}/docs/metrics"


def _setting(asked: Common, tenant: TenantFacts, clock: Clock) -> Setting:
    valid_at = asked.valid_at or _now(tenant, clock)
    return Setting(tenant, Instants(valid_at, asked.known_at), tenant.calendar(asked.zone))


def _now(tenant: TenantFacts, clock: Clock) -> datetime:
    """The tenant's now: a sandbox has its own, exact clock."""
    return tenant.sandbox_now or floored(clock.now())


def _etag(request: Request, setting: Setting) -> str:
    """Of everything that the numbers depend on; the watermark alone makes no new version."""
    given = sorted(request.query_params.multi_items())
    return strong_etag(
        request.url.path,
        *setting.tenant.version,
        setting.at.valid_at.isoformat(),
        *(f"{name}={value}" for name, value in given),
    )
