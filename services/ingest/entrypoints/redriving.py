"""`POST /v1/dead-letters/redrive` and `/dismiss`: bounded, one at a time, told of afterwards."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db import audit
from libs.common.quotas import Policy, Standing
from libs.common.web.answers import json_answer
from libs.common.web.auth import Principal
from libs.common.web.commands_once import command_once, documented_once
from libs.common.web.quota_headers import OverLimit
from services.ingest.adapters.dead_letters import SqlLetters
from services.ingest.app.redriving import Outcome
from services.ingest.entrypoints.answers import unavailable
from services.ingest.entrypoints.dead_letter_bodies import (
    MOST,
    Dismiss,
    Dismissed,
    Redrive,
    RedriveResult,
)
from services.ingest.entrypoints.dead_letters import Keeper
from services.ingest.entrypoints.state import IngestState, ingest_of

router = APIRouter(tags=["dead letters"])
SECONDS = 20.0
"""A redrive that takes longer is given up; what entered by then enters once more, to no effect."""
_BUSY = Standing(Policy("redrives", 1, window=None), allowed=False, remaining=0)


@router.post(
    "/v1/dead-letters/redrive",
    response_model=RedriveResult,
    openapi_extra=documented_once(Redrive),
)
async def redrive_dead_letters(request: Request, principal: Keeper) -> Response:
    """Let events enter again, at most 1,000 a call, each under the id that it had. What cannot
    enter is told with what mends it; a conflict never enters."""
    wanted, once = await command_once(request, Redrive, "ingest", principal)
    ingest = ingest_of(request)
    async with unavailable(), asyncio.timeout(SECONDS), _alone(ingest, principal) as (tx, letters):
        if told_before := await once.replay(tx):
            return told_before
        ids = await _selected(letters, wanted)
        outcomes = await ingest.redriver.redrive(letters, ids, dry_run=wanted.dry_run)
        answer = json_answer(_told(wanted, ids, outcomes))
        if wanted.dry_run:
            return answer
        done = [str(outcome.id) for outcome in outcomes if outcome.status == "redriven"]
        asked = wanted.model_dump(mode="json", exclude_none=True)
        await _record(tx, ingest, principal, "redrive", {"asked": asked, "redriven": done})
        return await once.keep(tx, answer)


@router.post(
    "/v1/dead-letters/dismiss", response_model=Dismissed, openapi_extra=documented_once(Dismiss)
)
async def dismiss_dead_letters(request: Request, principal: Keeper) -> Response:
    """Close letters that need nothing more. They stay, with the reason, and never enter again."""
    wanted, once = await command_once(request, Dismiss, "ingest", principal)
    ingest = ingest_of(request)
    async with _alone(ingest, principal) as (tx, letters):
        if told_before := await once.replay(tx):
            return told_before
        ids = list(dict.fromkeys(wanted.ids))
        done = await letters.dismiss(ids, wanted.reason, ingest.clock.now())
        after = {"reason": wanted.reason, "dismissed": sorted(map(str, done))}
        await _record(tx, ingest, principal, "dismiss", after)
        skipped = [id_ for id_ in ids if id_ not in done]
        return await once.keep(tx, json_answer({"dismissed": len(done), "skipped": skipped}))


@asynccontextmanager
async def _alone(
    ingest: IngestState, principal: Principal
) -> AsyncIterator[tuple[AsyncConnection, SqlLetters]]:
    """A transaction of whose letters these are: a tenant's behind its wall, the operator's as the
    worker, since its events belong to tenants. One at a time for each."""
    owner, actor = principal.tenant_id, principal.actor
    opened = (
        ingest.worker_database.across_tenants()
        if principal.is_operator
        else ingest.database.for_tenant(owner)
    )
    async with opened as tx:
        letters = SqlLetters(tx, owner, actor, ingest.clock, ingest.expressions)
        if not await letters.alone():
            detail = "dead letters are being redriven or dismissed at the moment; send it again"
            raise OverLimit(detail, _BUSY, code="redrive_running", retry_after=1)
        yield tx, letters


async def _selected(letters: SqlLetters, wanted: Redrive) -> Sequence[UUID]:
    if wanted.ids is not None:
        return await letters.named(wanted.ids)
    return await letters.of_kind(wanted.code, wanted.deal_id, wanted.after, MOST)


def _told(wanted: Redrive, ids: Sequence[UUID], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    by = Counter(outcome.status for outcome in outcomes)
    results = [asdict(outcome) for outcome in outcomes]
    results += [_missing(id_) for id_ in dict.fromkeys(wanted.ids or ()) if id_ not in ids]
    more = wanted.ids is None and len(ids) == MOST
    return {
        "dry_run": wanted.dry_run,
        "redriven": by["would_redrive" if wanted.dry_run else "redriven"],
        "refused": len(results) - by["would_redrive"] - by["redriven"],
        "next_after": ids[-1] if more else None,
        "results": results,
    }


def _missing(id_: UUID) -> dict[str, Any]:
    told = {"code": "not_found", "detail": "no such dead letter", "mended_by": None}
    return {"id": id_, "event_id": None, "status": "not_found"} | told


async def _record(
    tx: AsyncConnection, ingest: IngestState, principal: Principal, action: str, after: Any
) -> None:
    actor, owner = principal.actor, principal.tenant_id
    await audit.record(
        tx, "ingest", ingest.clock, owner, actor, action, "dead-letters", after=after
    )
