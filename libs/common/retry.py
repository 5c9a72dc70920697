"""Waiting between attempts: longer each time, out of step with others, cut short by a stop.

For loops that must not give up. Work that may give up uses `stamina`.
"""

import asyncio
import random


class Backoff:
    """Doubling delays from `first` to `longest` seconds, each shortened at random by up to half."""

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self._next = first

    def reset(self) -> None:
        """Things work again: the next trouble is a new one."""
        self._next = self._first

    def delay(self) -> float:
        """The next delay in seconds."""
        current, self._next = self._next, min(self._next * 2, self._longest)
        return current * random.uniform(0.5, 1)  # noqa: S311  # jitter, not a secret

    async def pause(self, stop: asyncio.Event) -> None:
        """Wait the next delay out, or until `stop`."""
        await pause(stop, self.delay())


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait `seconds`, or until `stop`."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
