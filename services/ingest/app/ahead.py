"""Events far ahead of the real time are flagged, but not where time is the tenant's own."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from services.ingest.app.ports import IndexUnavailable, Sandboxes
from services.ingest.domain.model import FUTURE, Candidate, Examined


async def flagged(
    events: Sequence[Examined], tenant_id: str, sandboxes: Sandboxes, seconds: float
) -> Sequence[Examined]:
    """The events, in a sandbox without the flag. While nobody can tell, it stays: it only warns."""
    if not any(map(_ahead, events)):
        return events
    try:
        async with asyncio.timeout(seconds):
            own_time = await sandboxes.has(tenant_id)
    except (IndexUnavailable, TimeoutError):
        return events
    return [_unflagged(event) for event in events] if own_time else events


def _ahead(event: Examined) -> bool:
    return isinstance(event, Candidate) and event.code == FUTURE


def _unflagged(event: Examined) -> Examined:
    return replace(event, code=None) if isinstance(event, Candidate) and _ahead(event) else event
