"""Builds the application of a process from the services that it runs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.runtime import Service, opened
from libs.common.web import problems
from libs.common.web.auth import Authenticator
from libs.common.web.context import RequestContext
from libs.common.web.cursors import Cursors
from libs.common.web.health import health_router
from libs.common.web.limits import Limits, no_limits
from libs.common.web.problem_schema import with_problems
from libs.common.web.strict import refuse_unknown_parameters

PRODUCT = "Headway"


def create_app(
    services: Sequence[Service],
    *,
    authenticator: Authenticator,
    cursors: Cursors,
    clock: Clock,
    title: str = PRODUCT,
    limits: Limits | None = None,
) -> FastAPI:
    """One application for any number of services; it starts and stops them, but runs no worker."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with authenticator.running(), opened(services):
            yield

    app = FastAPI(
        title=title,
        version=build_version(),
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        generate_unique_id_function=operation_id,
        separate_input_output_schemas=False,
    )
    app.state.authenticator, app.state.cursors = authenticator, cursors
    bounds = limits or no_limits(clock)
    app.state.clock, app.state.limits = clock, bounds
    for service in services:
        setattr(app.state, service.name, service.state)
        for router in service.routers:
            app.include_router(
                router, tags=[service.name], dependencies=[Depends(refuse_unknown_parameters)]
            )
        app.include_router(_openapi_of(app, service))
    app.include_router(health_router(services))
    app.openapi = lambda: _openapi(app, app.routes, title)  # type: ignore[method-assign]
    problems.install(app)
    metrics.BUILD_INFO.labels(app.version).set(1)
    app.add_middleware(RequestContext, clock=clock, bodies=bounds.bodies)
    return app


def operation_id(route: APIRoute) -> str:
    """Stable ids for generated clients: the endpoint's own name."""
    return route.name


def build_version() -> str:
    """The version of what runs; `headway_build_info` has it."""
    try:
        return version("headway")
    except PackageNotFoundError:
        return "0.1.0"


def _openapi_of(app: FastAPI, service: Service) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get(f"/openapi/{service.name}.json", name=f"openapi_{service.name}")
    async def document() -> dict[str, Any]:
        return document_of(app, service.name)

    return router


def document_of(app: FastAPI, service: str) -> dict[str, Any]:
    """The OpenAPI document of one service of an application."""
    routes = [
        r for r in iter_route_contexts(app.routes) if service in (getattr(r, "tags", ()) or ())
    ]
    return _openapi(app, routes, f"{PRODUCT} {service}")


def _openapi(app: FastAPI, routes: Sequence[Any], title: str) -> dict[str, Any]:
    return with_problems(get_openapi(title=title, version=app.version, routes=routes))
