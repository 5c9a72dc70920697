"""Folders that processes which are gone have left, taken one after the other."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from libs.common.retry import pause
from services.ingest.app.ports import SpoolStore, SpoolStores

_log = structlog.get_logger(__name__)


async def adopt(
    stores: SpoolStores,
    stop: asyncio.Event,
    every: float,
    take: Callable[[SpoolStore], Awaitable[None]],
) -> None:
    """Until `stop`; looks again `every` so many seconds while there is none. `take` closes what it
    is given."""
    while not stop.is_set():
        store = await _found(stores)
        if store is None:
            await pause(stop, every)
        else:
            await take(store)


async def _found(stores: SpoolStores) -> SpoolStore | None:
    """Another process may take a file away while this one looks."""
    try:
        return await asyncio.to_thread(stores.orphan)
    except OSError as error:
        _log.warning("folders_not_looked_at", error=error)
        return None
