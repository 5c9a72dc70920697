"""The HTTP server and the workers of one process, and the order in which they end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from libs.common.runtime import run_workers
from libs.common.settings import CommonSettings
from libs.common.web.proxies import behind
from libs.common.web.serve import serve
from services.standalone.composition import Composition

_WORKERS_END_WITHIN = 10.0  # seconds; what they have not committed by then is done again later
_log = structlog.get_logger()


@asynccontextmanager
async def serving(
    composition: Composition, settings: CommonSettings, stop: asyncio.Event
) -> AsyncIterator[int]:
    """Answers the port. Workers start after the server and end before it closes the pools.

    Should the server or a worker fail, `stop` is set and the failure raised at the end.
    """
    halt = asyncio.Event()
    server, port = await _started(composition, settings, halt)
    working = asyncio.create_task(run_workers(composition.workers, stop), name="workers")
    for task in (server, working):
        task.add_done_callback(lambda _: stop.set())
    try:
        yield port
    finally:
        stop.set()
        try:
            await _ended(working)
        finally:
            halt.set()
            await server


async def _started(
    composition: Composition, settings: CommonSettings, halt: asyncio.Event
) -> tuple[asyncio.Task[None], int]:
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    app = behind(settings.trusted_proxies, composition.app)
    server = asyncio.create_task(
        serve(app, settings.host, settings.port, halt, ready=port.set_result),
        name="server",
    )
    both: set[asyncio.Future[Any]] = {server, port}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        server.result()
    return server, await port


async def _ended(working: asyncio.Task[None]) -> None:
    try:
        await asyncio.wait_for(working, _WORKERS_END_WITHIN)
    except TimeoutError:
        _log.warning("workers did not end in time", seconds=_WORKERS_END_WITHIN)
