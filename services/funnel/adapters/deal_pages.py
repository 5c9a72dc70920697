"""Pages of deals with their states, in the present or folded up to an instant of the past."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from services.funnel.adapters import deal_reads, past
from services.funnel.adapters.deal_reads import Found, Key
from services.funnel.app.deal_question import DealQuestion
from services.funnel.domain.model import DealState

_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Deal:
    """A deal of a list, with its place in it."""

    state: DealState
    version: int
    key: Key


async def deals_of(
    tx: AsyncConnection, tenant_id: str, asked: DealQuestion, after: Key | None, limit: int
) -> Sequence[Deal]:
    """Up to `limit` deals behind a place; the question is settled."""
    if asked.at.present:
        found = await deal_reads.page(tx, tenant_id, asked, after, limit)
        return [Deal(f.state, f.version, f.key) for f in found if f.state is not None]
    deals: list[Deal] = []
    chunk = limit if asked.idle_gte is None else _CHUNK  # all of a chunk fits, unless idle decides
    async with aclosing(_folded(tx, tenant_id, asked, after, chunk)) as folded:
        async for deal in folded:
            deals.append(deal)
            if len(deals) == limit:
                break
    return deals


async def _folded(
    tx: AsyncConnection, tenant_id: str, asked: DealQuestion, after: Key | None, chunk: int
) -> AsyncGenerator[Deal]:
    """The list chunk by chunk: history chooses and sorts, the fold tells the whole state."""
    while found := await deal_reads.page(tx, tenant_id, asked, after, chunk):
        for deal in await _states(tx, tenant_id, asked, found):
            if not _is_too_fresh(deal.state, asked):
                yield deal
        after = found[-1].key


async def _states(
    tx: AsyncConnection, tenant_id: str, asked: DealQuestion, found: Sequence[Found]
) -> list[Deal]:
    ids = [deal.deal_id for deal in found]
    states = await past.states(tx, tenant_id, ids, asked.at)
    numbers = await deal_reads.versions(tx, tenant_id, ids)
    return [
        Deal(states[deal.deal_id], numbers[deal.deal_id], deal.key)
        for deal in found
        if deal.deal_id in states
    ]


def _is_too_fresh(state: DealState, asked: DealQuestion) -> bool:
    """Whether `idle_gte` leaves it out: history does not know of activities, the fold does."""
    last, until = state.last_event_at, asked.measured_at
    if asked.idle_gte is None or last is None or until is None:
        return False
    return until - last < asked.idle_gte
