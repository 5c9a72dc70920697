"""`/v1/sandbox/clock`: a sandbox tenant's own time."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.contracts.values import Instant
from libs.common.db.audit import record
from libs.common.db.database import driver
from libs.common.eventlog.port import LogError
from libs.common.web.answers import json_answer
from libs.common.web.auth import Principal, require
from libs.common.web.commands_once import command_once, documented_once
from libs.common.web.errors import ErrorItem, Invalid, NotFound, Unavailable
from services.alerts.adapters import clocks
from services.alerts.app.state import AlertsState
from services.alerts.app.work import Sandbox
from services.alerts.entrypoints.models import SandboxClock
from services.alerts.entrypoints.state import alerts_of

router = APIRouter(tags=["sandbox"])
Reader = Annotated[Principal, Depends(require("deals:read"))]
Admin = Annotated[Principal, Depends(require("admin"))]


class MoveClock(BaseModel):
    """Where to move the clock: forward, never back."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    now: Instant


@router.get("/v1/sandbox/clock", response_model=SandboxClock)
async def read_clock(request: Request, principal: Reader) -> Response:
    """The clock, and whether everything due by it has been dealt with."""
    state, tenant = alerts_of(request), principal.tenant_id
    async with state.database.for_tenant(tenant) as tx:
        now = await _now(tx, tenant)
    return await _answer(state, Sandbox(tenant, now), 200)


@router.post(
    "/v1/sandbox/clock",
    response_model=SandboxClock,
    status_code=202,
    openapi_extra=documented_once(MoveClock),
)
async def move_clock(request: Request, principal: Admin) -> Response:
    """Move the clock; what is due by then is dealt with in the order of its time."""
    wanted, once = await command_once(request, MoveClock, "alerts", principal)
    state, tenant = alerts_of(request), principal.tenant_id
    async with state.database.for_tenant(tenant) as tx:
        if told_before := await once.replay(tx):
            return told_before
        before = await _now(tx, tenant)
        if wanted.now < before or not await clocks.move(await driver(tx), tenant, wanted.now):
            raise _backwards(before)
        await record(
            tx, "alerts", state.clock, tenant, principal.actor, "clock.moved",
            "sandbox clock", before=before.isoformat(), after=wanted.now.isoformat(),
        )  # fmt: skip
        return await once.keep(tx, json_answer({"now": wanted.now, "settled": False}, 202))


async def _now(tx: AsyncConnection, tenant_id: str) -> datetime:
    time = await clocks.tenant_time(await driver(tx), tenant_id)
    if time is None:
        raise NotFound("this credential belongs to no tenant")
    if not time.sandbox:
        raise Invalid("only tenants made with sandbox: true have a clock", code="not_a_sandbox")
    return time.now


def _backwards(now: datetime) -> Invalid:
    detail = f"the clock stands at {now.isoformat()} and only moves forward"
    item = ErrorItem(detail, "clock_backwards", pointer="/now")
    return Invalid(detail, code="clock_backwards", errors=[item])


async def _answer(state: AlertsState, sandbox: Sandbox, status: int) -> Response:
    try:
        settled = await state.settling.settled(sandbox)
    except LogError as error:
        detail = "the event log does not answer; ask again"
        raise Unavailable(detail, code="log_unavailable", retry_after=2) from error
    return json_answer({"now": sandbox.now, "settled": settled}, status)
