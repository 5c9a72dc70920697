"""What waits to be kept and never can be: found, apart from all that can."""

import asyncio
from collections.abc import Sequence

import structlog

from libs.common import metrics
from services.ingest.app.ports import Keeper, Place, SpoolStore, Unkeepable
from services.ingest.domain.put_aside import PutAside, packed, singly, unpacked

_log = structlog.get_logger(__name__)


async def settle(keeper: Keeper, store: SpoolStore, place: Place, payload: bytes) -> None:
    """Keep what a frame holds; what cannot be kept goes, durably, into a file beside the frames, so
    that nothing behind it waits. Raises `IndexUnavailable`, or `OSError` of that file."""
    for left, error in await _unkept(keeper, payload):
        where = await asyncio.to_thread(store.refuse, place, left)
        if where is not None:
            metrics.PUT_ASIDE_REFUSED.inc()
            _log.error("put_aside_refused", kept=where, bytes=len(left), error=error)


Left = tuple[bytes, Exception]
"""What no trying again helps, as a frame has it, and why."""


async def _unkept(keeper: Keeper, payload: bytes) -> Sequence[Left]:
    try:
        aside = unpacked(payload)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return [(payload, error)]
    return await _left(keeper, aside)


async def _left(keeper: Keeper, aside: PutAside) -> Sequence[Left]:
    """One that is refused costs its neighbours nothing."""
    try:
        await keeper.keep(aside)
    except Unkeepable as error:
        singles = singly(aside)
        if len(singles) < 2:
            return [(packed(aside), error)]
        return [left for one in singles for left in await _left(keeper, one)]
    return []
