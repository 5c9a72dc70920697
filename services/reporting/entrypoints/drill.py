"""The deals behind a number."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from libs.common.web.auth import Principal, require
from libs.common.web.cursors import Cursors
from libs.common.web.errors import NotFound
from libs.common.web.pages import Limit
from services.reporting.adapters.reads import TransactionReads
from services.reporting.app import drilling
from services.reporting.app.tokens import BadToken, Drill
from services.reporting.domain.answers import MoneyValue, money
from services.reporting.entrypoints.reading import reading

router = APIRouter(prefix="/v1/drill", tags=["reporting"])


class DrilledDeal(BaseModel):
    """A deal as it stood at the pinned instants."""

    deal_id: str
    name: str | None
    status: str
    pipeline_id: str
    stage_id: str | None
    owner_id: str | None
    team_id: str | None
    account_id: str | None
    amount: MoneyValue | None
    created_at: datetime | None
    closed_at: datetime | None


class PinnedInstants(BaseModel):
    valid_at: datetime
    known_at: datetime | None


class DrillPage(BaseModel):
    """`n` as it was answered, `n_now` with all that is known today at the same `valid_at`."""

    metric: str
    of: str
    as_of: PinnedInstants
    n: int
    n_now: int
    restated: bool
    items: list[DrilledDeal]
    next_cursor: str | None
    has_more: bool


@router.get("/{token}", operation_id="drill", response_model=DrillPage)
async def get_drill(
    request: Request,
    principal: Annotated[Principal, Depends(require("deals:read"))],
    token: str,
    of: Annotated[str, Query(max_length=20)] = "n",
    stage_id: Annotated[str | None, Query(max_length=200)] = None,
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=4_096)] = None,
) -> DrillPage:
    """Exactly the deals counted, as of the instants of the answer that gave the token.

    `of` is `n`, and for a conversion also `won`, `lost`, `open`, and with `stage_id` `reached` or
    `from_previous`. `restated` says that facts recorded since then have changed that past.
    """
    async with reading(request, principal) as (state, reads, _):
        try:
            drill = state.tokens.open(principal.tenant_id, token)
        except BadToken:
            raise NotFound("no such list") from None
        sought = Sought(drill, of, stage_id, token)
        return await _page(reads, sought, request.app.state.cursors, cursor, limit)


@dataclass(frozen=True, slots=True)
class Sought:
    """Which number of which cell."""

    drill: Drill
    of: str
    stage_id: str | None
    token: str

    @property
    def fingerprint(self) -> str:
        return f"drill {self.token} {self.of} {self.stage_id}"


async def _page(
    reads: TransactionReads, sought: Sought, cursors: Cursors, cursor: str | None, limit: int
) -> DrillPage:
    drill, of, stage_id = sought.drill, sought.of, sought.stage_id
    listed = drilling.deals(drill, of, stage_id)
    today = drilling.deals(drill, of, stage_id, known_now=True)
    n, at = drilling.counted(drill, of, stage_id), drilling.instants(drill)
    if cursor:  # the first page has compared the two states of knowledge
        after, n_now, restated = cursors.open(cursor, sought.fingerprint)
    else:
        agreement = await reads.compare(listed, today)
        after, n_now = "", agreement.now
        restated = agreement.differing > 0 or agreement.then != n
    rows = await reads.listed(listed, at.known("h"), after, limit + 1)
    items = [_deal(row) for row in rows[:limit]]
    more = len(rows) > limit
    place = [items[-1].deal_id, n_now, restated] if more else []
    return DrillPage(
        metric=drilling.metric(drill),
        of=of,
        as_of=PinnedInstants(valid_at=at.valid_at, known_at=at.known_at),
        n=n,
        n_now=n_now,
        restated=restated,
        items=items,
        next_cursor=cursors.seal(place, sought.fingerprint) if more else None,
        has_more=more,
    )


def _deal(row: Mapping[str, Any]) -> DrilledDeal:
    amount = None if row["amount"] is None else money(row["amount"], row["currency"])
    return DrilledDeal(**{**row, "amount": amount})
