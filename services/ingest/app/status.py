"""Where an event is, and waiting until it is folded."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from libs.common.clock import Clock
from services.ingest.domain.status import EventStatus, Trace, sources_of, status_of

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5


class AmbiguousEvent(Exception):
    """Several sources have an event with this id."""


class Traces(Protocol):
    async def traces(
        self, tenant_id: str, event_id: str, source: str | None
    ) -> Sequence[Trace]: ...


class StatusReader:
    """Reads the status of events; a wait polls with growing pauses, never in a busy loop."""

    def __init__(self, traces: Traces, clock: Clock) -> None:
        self._traces, self._clock = traces, clock

    async def status(self, tenant_id: str, event_id: str, source: str | None) -> EventStatus | None:
        """`None` where the event is neither indexed nor folded nor dead (or not the tenant's)."""
        traces = await self._traces.traces(tenant_id, event_id, source)
        if len(sources_of(traces)) > 1:
            raise AmbiguousEvent(", ".join(sources_of(traces)))
        return status_of(event_id, traces)

    async def folded(
        self,
        tenant_id: str,
        event_id: str,
        source: str | None,
        seconds: float,
        gone: Callable[[], Awaitable[bool]],
    ) -> EventStatus | None:
        """The status once it is settled, or whatever it is after `seconds`.

        `gone` tells that nobody listens any more.
        """
        deadline, pause = self._clock.monotonic() + seconds, FIRST_PAUSE
        while True:
            status = await self.status(tenant_id, event_id, source)
            left = deadline - self._clock.monotonic()
            if (status is not None and status.settled) or left <= 0 or await gone():
                return status
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)
