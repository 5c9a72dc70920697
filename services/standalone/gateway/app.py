"""The gateway's application: health, what it joins, pages; the rest goes to the fleet."""

from collections.abc import Mapping

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.process.commands import COMMANDS
from libs.common.runtime import Check, Service
from libs.common.web import problems
from libs.common.web.context import RequestContext
from libs.common.web.factory import build_version
from libs.common.web.health import health_router
from services.standalone.gateway.fleet import Fleet
from services.standalone.gateway.forward import Forwarder
from services.standalone.gateway.interface import DOCUMENT, Interface
from services.standalone.gateway.joined import JoinedStatus
from services.standalone.gateway.page import render
from services.standalone.page import POLICY


def gateway_app(fleet: Fleet, transport: httpx.AsyncBaseTransport, clock: Clock) -> FastAPI:
    """`transport` reaches the processes of the fleet."""
    forwarder = Forwarder(fleet, transport)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    @app.get("/")
    async def front() -> HTMLResponse:
        return HTMLResponse(render(fleet), headers={"Content-Security-Policy": POLICY})

    @app.get("/v1/status")
    async def status(request: Request) -> Response:
        return await JoinedStatus(fleet, forwarder).answer(request)

    interface = Interface(fleet, forwarder)
    app.get(DOCUMENT)(interface.document)
    app.get("/docs")(interface.page)
    app.include_router(health_router([_health(fleet)]))
    app.router.default = forwarder
    problems.install(app)
    metrics.BUILD_INFO.labels(build_version()).set(1)
    app.add_middleware(RequestContext, clock=clock)
    return app


def _health(fleet: Fleet) -> Service:
    """Ready while anything can be answered; what cannot be is a warning."""
    silent = {service: _served(fleet, service) for service in COMMANDS}
    checks: Mapping[str, Check] = {"fleet": _anybody(fleet)}
    return Service(name="gateway", state=fleet, readiness=checks, warnings=silent)


def _anybody(fleet: Fleet) -> Check:
    async def check() -> str | None:
        served = any(fleet.is_served(service) for service in COMMANDS)
        return None if served else "no API process is ready"

    return check


def _served(fleet: Fleet, service: str) -> Check:
    async def check() -> str | None:
        return None if fleet.is_served(service) else f"no API process of {service} is ready"

    return check
