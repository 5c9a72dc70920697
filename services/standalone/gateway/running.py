"""The gateway as a process: from its first moment to its last."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from libs.common.clock import SystemClock
from libs.common.process.front import Front
from libs.common.process.stopping import stop_in_time
from libs.common.settings import CommonSettings
from libs.common.web.proxies import behind
from libs.common.web.serve import listen, listening
from services.standalone.gateway.app import gateway_app
from services.standalone.gateway.fleet import Fleet, fleet_of
from services.standalone.gateway.watch import watching
from services.standalone.settings import GatewaySettings

_LIMITS = httpx.Limits(max_connections=1_000, max_keepalive_connections=32, keepalive_expiry=20)
"""An idle connection is given up before the process behind it gives it up (30 s). The pool compares
each idle one with all others at each request: few are kept."""


async def run_gateway(settings: CommonSettings, own: GatewaySettings) -> None:
    """Serve until told to stop; raises `ConfigurationError` and `PortTaken`."""
    fleet, stop, front = fleet_of(own.processes), asyncio.Event(), Front()
    stop_in_time(stop, settings.stop_seconds)
    served, address = behind(settings.trusted_proxies, front), _address(settings, own)
    async with listening(served, address, stop) as port, _forwarding(fleet, front):
        await stop.wait()
        front.drain()
        await asyncio.sleep(settings.drain_seconds)
        await port.close()


@asynccontextmanager
async def _forwarding(fleet: Fleet, front: Front) -> AsyncIterator[None]:
    async with httpx.AsyncHTTPTransport(limits=_LIMITS) as transport, watching(fleet):
        front.open(gateway_app(fleet, transport, SystemClock()))
        yield


def _address(settings: CommonSettings, own: GatewaySettings) -> socket.socket:
    """A listening socket that was inherited, else one of our own."""
    if own.socket < 0:
        return listen(settings.host, settings.port)
    inherited = socket.socket(fileno=own.socket)
    inherited.setblocking(False)
    return inherited
