"""Long work of one task, cut up so that the other tasks of its event loop have their turns."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

SLICE_SECONDS = 0.01
T = TypeVar("T")


async def in_slices(items: Iterable[T], seconds: float = SLICE_SECONDS) -> AsyncIterator[T]:
    """Each item; others run once the work on some has taken `seconds`.

    By time and not by count: where others are busy a break may take as long as all the work, so
    many short items take few of them.
    """
    now = asyncio.get_running_loop().time
    begun = now()
    for item in items:
        yield item
        if now() - begun >= seconds:
            await asyncio.sleep(0)
            begun = now()
