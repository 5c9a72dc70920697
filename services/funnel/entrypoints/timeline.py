"""`/v1/deals/{id}/timeline`: events, field changes, activities and alerts, newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from libs.common.web.errors import NotFound
from libs.common.web.pages import Limit
from libs.common.web.slashes import SlashRoute
from services.funnel.adapters import past
from services.funnel.adapters.tenants import time_of
from services.funnel.app.deal_question import At
from services.funnel.domain.alerts import ShownAlert
from services.funnel.domain.timeline import Moment
from services.funnel.entrypoints.answers import json_answer
from services.funnel.entrypoints.deals import Cursor, DealId, Instants, Reader
from services.funnel.entrypoints.models import Timeline
from services.funnel.entrypoints.state import funnel_of
from services.funnel.entrypoints.timeline_items import Key, Placed, items, key_of

router = APIRouter(tags=["deals"], route_class=SlashRoute)


@router.get("/v1/deals/{deal_id:path}/timeline", response_model=Timeline)
async def list_timeline(
    request: Request,
    principal: Reader,
    deal_id: DealId,
    at: Instants,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """What was said of the deal (`event`, `activity`), what it changed (`change`), and its alerts.

    Alerts are shown to keys that may `alerts:read`, too; others get the rest. An `alert`
    stands where its violation began, as known at `known_at`, with its end if that lies by then; its
    event is the one that started the clock. Pages show one state of knowledge: that of the first
    page. They follow a place in the order of events, so that nothing comes twice, whatever arrives
    late in between.
    """
    funnel, tenant, cursors = funnel_of(request), principal.tenant_id, request.app.state.cursors
    fingerprint, now = f"timeline {deal_id} {at}", funnel.clock.now()
    after, asked = _opened(cursors.open(cursor, fingerprint)) if cursor else (None, at)
    async with funnel.database.for_tenant(tenant, snapshot=True) as tx:
        asked = asked.settled((await time_of(tx, now)).shown_to)
        moments, alerts = await past.timeline_of(tx, tenant, deal_id, asked)
    alerts = alerts if principal.may("alerts:read") else []
    if not moments:
        raise NotFound("no such deal")
    shown, more = _page(items(moments, alerts), after, limit)
    following = None
    if more:
        known_at = asked.known_at or _known(moments, alerts, now)
        following = cursors.seal(_sealed(shown[-1][0], asked.valid_at, known_at), fingerprint)
    page = [item for _, item in shown]
    return json_answer({"items": page, "next_cursor": following, "has_more": more})


def _known(moments: Sequence[Moment], alerts: Sequence[ShownAlert], now: datetime) -> datetime:
    """Up to when the first page knows: what is recorded later is not of its state of knowledge."""
    seen = [moment.event.recorded_at for moment in moments]
    return max(now, *seen, *(shown.alert.known_at for shown in alerts))


def _sealed(key: Key, *instants: datetime | None) -> list[Any]:
    """Where a page ends, and the instants of the first page."""
    return [key, *(instant.isoformat() for instant in instants if instant is not None)]


def _opened(place: Sequence[Any]) -> tuple[Key, At]:
    key, valid_at, known_at = place
    at = At(datetime.fromisoformat(valid_at), datetime.fromisoformat(known_at))
    return key_of(key), at


def _page(placed: Sequence[Placed], after: Key | None, limit: int) -> tuple[list[Placed], bool]:
    """The newest items before a place, newest first; whether older ones are left."""
    held = [item for item in placed if after is None or item[0] < after]
    return held[::-1][:limit], len(held) > limit
