"""`/v1/deals/{id}/timeline`: events, field changes and activities, newest first."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from libs.common.web.errors import NotFound
from libs.common.web.pages import Limit
from libs.common.web.slashes import SlashRoute
from services.funnel.adapters import past
from services.funnel.adapters.tenants import time_of
from services.funnel.app.deal_question import At
from services.funnel.domain.model import FoldEvent, Order
from services.funnel.domain.timeline import Change, Moment
from services.funnel.entrypoints.answers import json_answer
from services.funnel.entrypoints.deals import Cursor, DealId, Instants, Reader
from services.funnel.entrypoints.models import Timeline
from services.funnel.entrypoints.state import funnel_of

router = APIRouter(tags=["deals"], route_class=SlashRoute)
Key = tuple[Order, int]
"""The place of an item: its event's in the total order, and its own among the event's items."""
Placed = tuple[Key, dict[str, Any]]


@router.get("/v1/deals/{deal_id:path}/timeline", response_model=Timeline)
async def list_timeline(
    request: Request,
    principal: Reader,
    deal_id: DealId,
    at: Instants,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """What was said of the deal (`event`, `activity`) and what it changed (`change`).

    Pages show one state of knowledge: that of the first page. They follow a place in the order of
    events, so that nothing comes twice, whatever arrives late in between.
    """
    funnel, tenant, cursors = funnel_of(request), principal.tenant_id, request.app.state.cursors
    fingerprint, now = f"timeline {deal_id} {at}", funnel.clock.now()
    after, asked = _opened(cursors.open(cursor, fingerprint)) if cursor else (None, at)
    async with funnel.database.for_tenant(tenant, snapshot=True) as tx:
        asked = asked.settled((await time_of(tx, now)).shown_to)
        moments = await past.timeline_of(tx, tenant, deal_id, asked)
    if not moments:
        raise NotFound("no such deal")
    shown, more = _page(moments, after, limit)
    following = None
    if more:
        known_at = asked.known_at or _known(moments, now)
        following = cursors.seal(_sealed(shown[-1][0], asked.valid_at, known_at), fingerprint)
    items = [item for _, item in shown]
    return json_answer({"items": items, "next_cursor": following, "has_more": more})


def _known(moments: Sequence[Moment], now: datetime) -> datetime:
    """Up to when the first page knows: what is recorded later is not of its state of knowledge."""
    return max(now, *(moment.event.recorded_at for moment in moments))


def _sealed(key: Key, *instants: datetime | None) -> list[Any]:
    """Where a page ends, and the instants of the first page."""
    return [key, *(instant.isoformat() for instant in instants if instant is not None)]


def _opened(place: Sequence[Any]) -> tuple[Key, At]:
    (order, number), valid_at, known_at = place
    moment = datetime.fromisoformat(order[0])
    at = At(datetime.fromisoformat(valid_at), datetime.fromisoformat(known_at))
    return ((moment, *order[1:]), number), at


def _page(moments: Sequence[Moment], after: Key | None, limit: int) -> tuple[list[Placed], bool]:
    """The newest items before a place, newest first; whether older ones are left."""
    items = [placed for moment in moments for placed in _placed(moment)]
    held = [item for item in items if after is None or item[0] < after]
    return held[::-1][:limit], len(held) > limit


def _placed(moment: Moment) -> Iterator[Placed]:
    for number, item in enumerate(_items(moment)):
        yield (moment.event.order, number), item


def _items(moment: Moment) -> Iterator[dict[str, Any]]:
    """The saying itself, then its changes; read from the end the changes come first."""
    kind = "activity" if moment.is_activity else "event"
    said = moment.event.data.model_dump(mode="json", exclude_unset=True)
    yield _head(moment.event, kind) | {"data": said}
    for change in moment.changes:
        yield _head(moment.event, "change") | _changed(change)


def _head(event: FoldEvent, kind: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "event_id": event.id,
        "source": event.source,
        "type": event.type,
        "actor_id": getattr(event.data, "actor_id", None),
    }


def _changed(change: Change) -> dict[str, Any]:
    return {"deal_id": change.deal_id, "field": change.field, "from": change.was, "to": change.now}
