"""What `/metrics` tells of requests and of appends."""

import pytest
from fastapi import APIRouter, FastAPI, Response
from httpx import ASGITransport, AsyncClient
from prometheus_client import REGISTRY

from libs.common.clock import SystemClock
from libs.common.eventlog.port import LogUnavailable
from libs.common.eventlog.timed import appending
from libs.common.web.context import RequestContext


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"headway_{name}", labels) or 0.0


def application() -> FastAPI:
    app, router = FastAPI(), APIRouter(prefix="/things")

    @router.get("/{thing_id}")
    async def thing(thing_id: int) -> Response:
        if thing_id == 13:
            raise RuntimeError("broken")
        return Response(status_code=200 if thing_id < 10 else 404)

    app.include_router(router)
    app.add_middleware(RequestContext, clock=SystemClock())
    return app


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/things/1", "/things/{thing_id}", "2xx"),
        ("/things/11", "/things/{thing_id}", "4xx"),
        ("/things/x", "/things/{thing_id}", "4xx"),
        ("/things/13", "/things/{thing_id}", "5xx"),
        ("/nowhere/1", "unmatched", "4xx"),
    ],
)
async def test_requests_are_counted_and_timed_by_template(
    path: str, route: str, status: str
) -> None:
    where = {"method": "GET", "route": route}
    before = value("http_requests_total", **where, status=status)
    timed = value("http_request_seconds_count", **where)
    transport = ASGITransport(application(), raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://headway") as client:
        await client.get(path)
    assert value("http_requests_total", **where, status=status) == before + 1
    assert value("http_request_seconds_count", **where) == timed + 1


async def test_an_append_is_timed_or_counted_as_failed() -> None:
    with appending("planted"):
        pass
    with pytest.raises(LogUnavailable), appending("planted"):
        raise LogUnavailable("away")
    assert value("log_append_seconds_count", topic="planted") == 1
    assert value("log_append_failures_total", topic="planted") == 1
