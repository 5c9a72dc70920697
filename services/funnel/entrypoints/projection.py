"""`GET /v1/projection`: whether everything that was accepted shows."""

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import LogError
from libs.common.web.auth import Principal, require
from libs.common.web.errors import Unavailable
from services.funnel.adapters import projection
from services.funnel.app.caught_up import Accepted, Progress, progress
from services.funnel.app.state import FunnelState
from services.funnel.app.watermark import GROUP
from services.funnel.entrypoints.answers import json_answer
from services.funnel.entrypoints.models import Projection
from services.funnel.entrypoints.state import funnel_of

router = APIRouter(tags=["projection"])
Reader = Annotated[Principal, Depends(require("deals:read"))]
LOOKS, MOMENT = 6, 0.1
"""How often, and how far apart in seconds, ingest is looked at: it speaks four times a second."""


@router.get("/v1/projection", response_model=Projection)
async def read_projection(request: Request, principal: Reader) -> Response:
    """How far the projection is; `caught_up` covers the log, spool, imports and refolds."""
    try:
        found = await _progress(funnel_of(request), principal.tenant_id)
    except LogError as error:
        detail = "the event log does not answer; ask again"
        raise Unavailable(detail, code="log_unavailable", retry_after=2) from error
    return json_answer(asdict(found))


async def _progress(funnel: FunnelState, tenant_id: str) -> Progress:
    """In the order that events travel, so that nothing slips from one place to the next."""
    async with funnel.database.for_tenant(tenant_id) as tx:
        asked = await projection.now(tx)
        accepted = await _accepted(tx, tenant_id, asked)
        topic_id = await funnel.log.topic_id(CRM_EVENTS)
        ends = await funnel.log.ends(CRM_EVENTS)
        held = await projection.projected(tx, tenant_id, GROUP, CRM_EVENTS, topic_id)
    return progress(asked, accepted, ends, held, funnel.clock.now())


async def _accepted(tx: AsyncConnection, tenant_id: str, asked: datetime) -> Accepted:
    """By what ingest has said since, if it speaks within a moment."""
    for _ in range(LOOKS):
        found = await projection.accepted(tx, tenant_id)
        if found.told(asked):
            return found
        await asyncio.sleep(MOMENT)
    return found
