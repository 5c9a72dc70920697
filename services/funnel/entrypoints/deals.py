"""`/v1/deals`: lists of deals and single ones, now or as of two instants."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from libs.common.web.auth import Principal, require
from libs.common.web.errors import NotFound
from libs.common.web.pages import Limit, Turn
from libs.common.web.slashes import SlashRoute
from services.funnel.adapters import deal_reads, past
from services.funnel.adapters.deal_pages import deals_of
from services.funnel.adapters.load import load_catalogue
from services.funnel.adapters.tenants import time_of
from services.funnel.app.deal_question import At, DealQuestion
from services.funnel.app.model import Catalogue
from services.funnel.app.records import state_fields
from services.funnel.domain.model import DealState
from services.funnel.entrypoints.answers import json_answer
from services.funnel.entrypoints.deal_query import instants, question
from services.funnel.entrypoints.models import Deal, Deals
from services.funnel.entrypoints.paths import stored_id
from services.funnel.entrypoints.state import funnel_of

router = APIRouter(tags=["deals"], route_class=SlashRoute)
Reader = Annotated[Principal, Depends(require("deals:read"))]
Instants = Annotated[At, Depends(instants)]
Cursor = Annotated[str | None, Query(max_length=24_000)]
"""Holds the sort's values: three of the longest ones, every character escaped."""


def _deal_id(deal_id: Annotated[str, Path(max_length=200)]) -> str:
    return stored_id("deal_id", deal_id)


DealId = Annotated[str, Depends(_deal_id)]


@router.get("/v1/deals", response_model=Deals)
async def list_deals(
    request: Request,
    principal: Reader,
    asked: Annotated[DealQuestion, Depends(question)],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Deals that fit the filters. Deleted and merged ones are left out unless `status` asks.

    Sort by `deal_id`, `name`, `amount`, `created_at`, `closed_at`, `stage_entered_at`,
    `expected_close_date`, `owner_id`, `stage_id`, and in the present also by `last_event_at` and
    `last_activity_at`; at most three, `-` for descending. Deals without a value come last.
    """
    funnel, tenant = funnel_of(request), principal.tenant_id
    turn = Turn.of(request, _fingerprint(request), limit, cursor)
    async with funnel.database.for_tenant(tenant, snapshot=True) as tx:
        settled = asked.settled(await time_of(tx, funnel.clock.now()))
        found = await deals_of(tx, tenant, settled, turn.after, turn.fetch)
        catalogue = await load_catalogue(tx, tenant)
    return json_answer(
        turn.page(
            found, lambda deal: deal.key, lambda deal: shown(deal.state, deal.version, catalogue)
        )
    )


@router.get("/v1/deals/{deal_id:path}", response_model=Deal)
async def read_deal(request: Request, principal: Reader, deal_id: DealId, at: Instants) -> Response:
    """One deal; its id may hold slashes (`%2F`). `version` counts its records, at any instants."""
    funnel, tenant = funnel_of(request), principal.tenant_id
    async with funnel.database.for_tenant(tenant, snapshot=True) as tx:
        held = await deal_reads.present(tx, tenant, deal_id)
        state = held[0] if held else None
        if held and not at.present:
            settled = at.settled((await time_of(tx, funnel.clock.now())).shown_to)
            state = (await past.states(tx, tenant, [deal_id], settled)).get(deal_id)
        catalogue = await load_catalogue(tx, tenant)
    if held is None or state is None:
        raise NotFound("no such deal")
    return json_answer(shown(state, held[1], catalogue))


def shown(state: DealState, version: int, catalogue: Catalogue) -> dict[str, Any]:
    """A deal as clients see it."""
    return state_fields(state, catalogue) | {"version": version}


def _fingerprint(request: Request) -> str:
    """What a cursor belongs to: the question without its page."""
    given = sorted(request.query_params.multi_items())
    asked = [f"{name}={value}" for name, value in given if name not in ("cursor", "limit")]
    return "\x1f".join(("deals", *asked))
