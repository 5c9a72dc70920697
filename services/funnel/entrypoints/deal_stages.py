"""`/v1/deals/{id}/stages`: the deal's visits of stages."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from libs.common.web.errors import NotFound
from libs.common.web.slashes import SlashRoute
from services.funnel.adapters import past
from services.funnel.adapters.load import load_catalogue
from services.funnel.adapters.stage_order import stage_order
from services.funnel.adapters.tenants import time_of
from services.funnel.app.model import Catalogue
from services.funnel.domain.exits import StageOrder, shown_exit
from services.funnel.domain.model import Visit
from services.funnel.entrypoints.answers import json_answer
from services.funnel.entrypoints.deals import DealId, Instants, Reader
from services.funnel.entrypoints.models import StageVisits
from services.funnel.entrypoints.state import funnel_of

router = APIRouter(tags=["deals"], route_class=SlashRoute)


@router.get("/v1/deals/{deal_id:path}/stages", response_model=StageVisits)
async def list_deal_stages(
    request: Request, principal: Reader, deal_id: DealId, at: Instants
) -> Response:
    """Every stay in a stage, in fold order; an open one counts up to `valid_at`."""
    funnel, tenant = funnel_of(request), principal.tenant_id
    async with funnel.database.for_tenant(tenant, snapshot=True) as tx:
        time = await time_of(tx, funnel.clock.now())
        fold = await past.fold_of(tx, tenant, [deal_id], at.settled(time.shown_to))
        order, catalogue = await stage_order(tx, tenant), await load_catalogue(tx, tenant)
    if deal_id not in fold.deals:
        raise NotFound("no such deal")
    visits = fold.deals[deal_id].visible_visits()
    until = at.valid_at or time.now
    return json_answer({"visits": [_shown(v, until, order, catalogue) for v in visits]})


def _shown(visit: Visit, until: datetime, order: StageOrder, catalogue: Catalogue) -> Any:
    seconds = ((visit.left_at or until) - visit.entered_at).total_seconds()
    return {
        "stage_id": visit.stage_id,
        "stage_name": catalogue.stage_name(visit.pipeline_id, visit.stage_id),
        "pipeline_id": visit.pipeline_id,
        "class": visit.stage_class,
        "entered_at": visit.entered_at,
        "left_at": visit.left_at,
        "seconds": max(0.0, seconds),
        "working_seconds": None,
        "actor_id": visit.actor_id,
        "exit": shown_exit(visit, order),
        "implied": False,
        "event_id": visit.event_id,
    }
