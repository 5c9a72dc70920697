"""Runs an application on a port until it is told to stop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Generator
from functools import partial
from typing import Any, Literal

import uvicorn
from starlette.types import ASGIApp

from libs.common.web import loop_lag
from libs.common.web.door import Bounds, Door
from libs.common.web.protocol import GuardedProtocol
from libs.common.web.stopping import telling

GRACE = 10
"""Seconds that open requests have to finish."""
BOUNDS = Bounds()


class PortTaken(Exception):
    """Something else listens on the address."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"{host}:{port} is taken; stop what listens there, or choose another port"
            " with HEADWAY_PORT or --port"
        )


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    stop: asyncio.Event,
    *,
    ready: Callable[[int], None] | None = None,
    lifespan: Literal["on", "off"] = "on",
    bounds: Bounds = BOUNDS,
) -> None:
    """Serve until `stop`; `ready` is told the port once requests are taken.

    Signals stay the caller's. Raises `PortTaken`; what fails at start is raised as it is.
    """
    await serve_on(listen(host, port), app, stop, ready=ready, lifespan=lifespan, bounds=bounds)


async def serve_on(
    listening: socket.socket,
    app: ASGIApp,
    stop: asyncio.Event,
    *,
    ready: Callable[[int], None] | None = None,
    lifespan: Literal["on", "off"] = "on",
    bounds: Bounds = BOUNDS,
) -> None:
    """The same on a socket that listens already; it is closed at the end."""
    config = _config(telling(app, stop), lifespan, Door(bounds))
    server = _Server(config, listening.getsockname()[1], ready)
    stopping = asyncio.create_task(_stop_with(server, stop))
    sampling = asyncio.create_task(loop_lag.sample(asyncio.get_running_loop().time))
    try:
        await server.serve(sockets=[listening])
    finally:
        stopping.cancel()
        sampling.cancel()
        listening.close()
    if not server.started:
        raise RuntimeError("the application did not start; the log says why")


class Port:
    """A port that is being served; `close` lets open requests finish, and may be called twice."""

    def __init__(self, number: int, server: asyncio.Task[None], halt: asyncio.Event) -> None:
        self.number, self._server, self._halt = number, server, halt

    async def close(self) -> None:
        self._halt.set()
        await self._server


@contextlib.asynccontextmanager
async def listening(
    app: ASGIApp, at: socket.socket, stop: asyncio.Event, bounds: Bounds = BOUNDS
) -> AsyncIterator[Port]:
    """`app` answers at a socket (of `listen`) inside this context, which closes it at the end.

    Should the server fail, `stop` is set. The application's lifespan is the caller's affair.
    """
    halt = asyncio.Event()
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = serve_on(at, app, halt, ready=bound.set_result, lifespan="off", bounds=bounds)
    server = asyncio.create_task(serving, name="server")
    both: set[asyncio.Future[Any]] = {server, bound}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        server.result()
    opened = Port(await bound, server, halt)
    server.add_done_callback(lambda _: stop.set())
    try:
        yield opened
    finally:
        await opened.close()


def _config(app: ASGIApp, lifespan: Literal["on", "off"], door: Door) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=partial(GuardedProtocol, door=door),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        lifespan=lifespan,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=30,
    )


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers; tells when it takes requests."""

    def __init__(
        self, config: uvicorn.Config, port: int, ready: Callable[[int], None] | None
    ) -> None:
        super().__init__(config)
        self._port, self._ready = port, ready

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready(self._port)


async def _stop_with(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on; raises `PortTaken`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise PortTaken(host, port) from error
    listening.setblocking(False)
    return listening
