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
    where = {"method": "GET", "route": route, "status": status}
    before = value("http_server_request_duration_seconds_count", **where)
    transport = ASGITransport(application(), raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://headway") as client:
        await client.get(path)
    assert value("http_server_request_duration_seconds_count", **where) == before + 1


async def test_a_method_that_a_client_makes_up_gets_no_series() -> None:
    where = {"route": "unmatched", "status": "4xx"}
    before = value("http_server_request_duration_seconds_count", method="other", **where)
    transport = ASGITransport(application())
    async with AsyncClient(transport=transport, base_url="http://headway") as client:
        await client.request("BREW", "/pot")
    counted = value("http_server_request_duration_seconds_count", method="other", **where)
    assert counted == before + 1
    made_up = {**where, "method": "BREW"}
    name = "headway_http_server_request_duration_seconds_count"
    assert REGISTRY.get_sample_value(name, made_up) is None


async def test_an_append_is_timed_or_counted_as_failed() -> None:
    def pending() -> float:
        return value("log_publish_pending_records", topic="planted")

    with appending("planted", 3):
        assert pending() == 3
    assert pending() == 0
    name = "headway_log_publish_failures_total"
    assert REGISTRY.get_sample_value(name, {"topic": "planted"}) == 0
    with pytest.raises(LogUnavailable), appending("planted", 2):
        raise LogUnavailable("away")
    assert pending() == 0
    assert value("log_publish_duration_seconds_count", topic="planted") == 1
    assert value("log_publish_failures_total", topic="planted") == 1
