"""`/v1/deals/{id}/timeline`: events, field changes and activities, newest first."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from libs.common.web.errors import NotFound
from libs.common.web.pages import Limit
from services.funnel.adapters import past
from services.funnel.app.deal_question import At
from services.funnel.app.projector import SKEW
from services.funnel.domain.model import FoldEvent
from services.funnel.domain.timeline import Change, Moment
from services.funnel.entrypoints.answers import json_answer
from services.funnel.entrypoints.deals import Cursor, DealId, Instants, Reader
from services.funnel.entrypoints.models import Timeline
from services.funnel.entrypoints.state import funnel_of

router = APIRouter(tags=["deals"])


@router.get("/v1/deals/{deal_id}/timeline", response_model=Timeline)
async def list_timeline(
    request: Request,
    principal: Reader,
    deal_id: DealId,
    at: Instants,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """What was said of the deal (`event`, `activity`) and what it changed (`change`).

    Pages show one state of knowledge: that of the first page.
    """
    funnel, tenant, cursors = funnel_of(request), principal.tenant_id, request.app.state.cursors
    fingerprint = f"timeline {deal_id} {at}"
    end, asked = _place(cursors.open(cursor, fingerprint) if cursor else None, at)
    asked = _pinned(asked, funnel.clock.now())
    async with funnel.database.for_tenant(tenant, snapshot=True) as tx:
        moments = await past.timeline_of(tx, tenant, deal_id, asked)
    if not moments:
        raise NotFound("no such deal")
    items = [item for moment in moments for item in _items(moment)]
    shown, more = _page(items, end, limit)
    place = [len(items[:end]) - len(shown), *_texts(asked)]
    following = cursors.seal(place, fingerprint) if more else None
    return json_answer({"items": shown, "next_cursor": following, "has_more": more})


def _place(opened: Sequence[Any] | None, at: At) -> tuple[int | None, At]:
    """How many of the oldest items are left, and the instants of the first page."""
    if opened is None:
        return None, at
    valid_at, known_at = (datetime.fromisoformat(text) for text in opened[1:])
    return int(opened[0]), At(valid_at, known_at)


def _pinned(at: At, now: datetime) -> At:
    return At(at.valid_at or now + SKEW, at.known_at or now + SKEW)


def _texts(at: At) -> list[str]:
    return [instant.isoformat() for instant in (at.valid_at, at.known_at) if instant is not None]


def _page(items: list[Any], end: int | None, limit: int) -> tuple[list[Any], bool]:
    """The newest of the first `end` items, newest first; whether older ones are left."""
    held = items[:end]
    return held[::-1][:limit], len(held) > limit


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
