"""How long what is ready has to wait for the event loop: the first sign that it is overworked."""

import asyncio
from collections.abc import Awaitable, Callable

from libs.common import metrics

PERIOD = 0.25
"""Seconds between samples: many enough to see what blocks for tens of milliseconds."""


async def sample(
    now: Callable[[], float], sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Ask to be woken again and again, and note how much later it was; ends when cancelled."""
    while True:
        due = now() + PERIOD
        await sleep(PERIOD)
        metrics.EVENT_LOOP_LAG.observe(max(0.0, now() - due))
