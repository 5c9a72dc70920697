"""`/v1/dead-letters`: what could not be used, and why. An operator's key shows those letters whose
tenant nobody knows, an admin's key those of its tenant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy import RowMapping

from libs.common.web.answers import json_answer
from libs.common.web.auth import Principal, principal_of
from libs.common.web.errors import Forbidden, NotFound
from libs.common.web.pages import Limit, Turn
from libs.common.web.params import Many, choice, parsed, text
from libs.common.web.query import instant
from services.ingest.adapters.dead_letters import LetterFilter, SqlLetters
from services.ingest.domain.redriving import LetterState
from services.ingest.entrypoints.dead_letter_bodies import DeadLetters, WholeDeadLetter
from services.ingest.entrypoints.dead_letters_shown import shown, shown_whole
from services.ingest.entrypoints.state import ingest_of

router = APIRouter(tags=["dead letters"])


async def _keeper(principal: Annotated[Principal, Depends(principal_of)]) -> Principal:
    if not (principal.is_operator or principal.may("admin")):
        raise Forbidden("this key lacks the scope admin", code="scope_missing")
    return principal


Keeper = Annotated[Principal, Depends(_keeper)]
"""An operator, or the admin of a tenant: each has letters of its own."""


def _letter_id(
    dead_letter_id: Annotated[str, Path(json_schema_extra={"format": "uuid"})],
) -> UUID:
    """What is no UUID is the id of no letter."""
    try:
        return UUID(dead_letter_id)
    except ValueError:
        raise NotFound("no such dead letter") from None


LetterId = Annotated[UUID, Depends(_letter_id)]


def _filter(
    code: Many = None,
    state: Many = None,
    deal_id: str | None = None,
    source: str | None = None,
    event_id: str | None = None,
    since: Annotated[str | None, Query(alias="from")] = None,
    to: str | None = None,
) -> LetterFilter:
    states = [str(choice("state", one, get_args(LetterState), None)) for one in state or ()]
    return LetterFilter(
        codes=[str(text("code", one)) for one in code or ()] or None,
        states=states or None,
        deal_id=text("deal_id", deal_id),
        source=text("source", source),
        event_id=text("event_id", event_id),
        since=parsed("from", since, instant),
        until=parsed("to", to, instant),
    )


@router.get("/v1/dead-letters", response_model=DeadLetters)
async def list_dead_letters(
    request: Request,
    principal: Keeper,
    wanted: Annotated[LetterFilter, Depends(_filter)],
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=2_000)] = None,
) -> Response:
    """Letters in every state unless `state` says which, newest first."""
    turn = Turn.of(request, f"dead-letters {wanted}", limit, cursor)
    before = _opened(turn.after) if turn.after else None
    async with letters_of(request, principal) as letters:
        found = await letters.page(wanted, before, turn.fetch)
    return json_answer(turn.page(found, _place, shown))


@router.get("/v1/dead-letters/{dead_letter_id}", response_model=WholeDeadLetter)
async def read_dead_letter(request: Request, principal: Keeper, id_: LetterId) -> Response:
    """One letter whole: its headers, its body as text or base64, what became of it so far."""
    async with letters_of(request, principal) as letters:
        row = await letters.one(id_)
        history = await letters.history(id_)
    if row is None:
        raise NotFound("no such dead letter")
    return json_answer(shown_whole(row, history))


@asynccontextmanager
async def letters_of(request: Request, principal: Principal) -> AsyncIterator[SqlLetters]:
    """The letters of who asks, in one transaction bound to the wall of their owner."""
    ingest, owner = ingest_of(request), principal.tenant_id
    async with ingest.database.for_tenant(owner) as tx:
        yield SqlLetters(tx, owner, principal.actor, ingest.clock)


def _place(row: RowMapping) -> list[str]:
    return [row["first_seen_at"].isoformat(), str(row["id"])]


def _opened(place: list[Any]) -> tuple[datetime, UUID]:
    return datetime.fromisoformat(place[0]), UUID(place[1])
