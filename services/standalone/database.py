"""The database of a standalone Headway: the one that is configured, else an embedded one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from libs.common.db.embedded import EmbeddedPostgres
from libs.common.settings import CommonSettings
from services.standalone.layout import Layout

OPTIONS = {"max_connections": "200"}  # all services in one process, each with its own pools


@asynccontextmanager
async def database_url(settings: CommonSettings, layout: Layout) -> AsyncIterator[str]:
    """A URL that answers. An embedded server runs as long as this context."""
    if settings.database_url:
        yield settings.database_url
        return
    server = EmbeddedPostgres(layout.postgres, OPTIONS)
    try:
        await _uninterrupted(server.start)
        yield server.url()
    finally:
        await _uninterrupted(server.stop)


async def _uninterrupted(step: Callable[[], None]) -> None:
    """Run a blocking step to its end, however often we are cancelled: then cancel after it."""
    task = asyncio.ensure_future(asyncio.to_thread(step))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
