"""Runs an application on a port until it is told to stop."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator

import uvicorn
from fastapi import FastAPI

GRACE = 10
"""Seconds that open requests have to finish."""


class PortTaken(Exception):
    """Something else listens on the address."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"{host}:{port} is taken; stop what listens there, or choose another port"
            " with HEADWAY_PORT or --port"
        )


async def serve(
    app: FastAPI,
    host: str,
    port: int,
    stop: asyncio.Event,
    *,
    ready: Callable[[int], None] | None = None,
) -> None:
    """Serve until `stop`; `ready` is told the port once requests are taken.

    Signals stay the caller's. Raises `PortTaken`; what fails at start is raised as it is.
    """
    listening = _listen(host, port)
    server = _Server(_config(app), listening.getsockname()[1], ready)
    stopping = asyncio.create_task(_stop_with(server, stop))
    try:
        await server.serve(sockets=[listening])
    finally:
        stopping.cancel()
        listening.close()
    if not server.started:
        raise RuntimeError("the application did not start; the log says why")


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=64 * 1024,
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


def _listen(host: str, port: int) -> socket.socket:
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
