"""What a process answers while it starts, works and stops."""

import httpx
import pytest
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from libs.common.process.front import Front


async def _page(_: object) -> PlainTextResponse:
    return PlainTextResponse("here")


APP = Starlette(routes=[Route("/page", _page), Route("/readyz", _page)])


@pytest.fixture
def front() -> Front:
    return Front()


async def ask(front: Front, path: str) -> httpx.Response:
    async with AsyncClient(transport=ASGITransport(front), base_url="http://process") as client:
        return await client.get(path)


async def test_while_it_waits_it_lives_and_says_for_what(front: Front) -> None:
    front.waits("PostgreSQL cannot be reached")
    assert (await ask(front, "/livez")).json() == {"status": "ok"}
    for path in ("/readyz", "/startupz"):
        answer = await ask(front, path)
        assert (answer.status_code, answer.json()["status"]) == (503, "starting")
        assert "PostgreSQL cannot be reached" in answer.json()["checks"]["process"]
    assert "python_info" in (await ask(front, "/metrics")).text


async def test_a_request_that_comes_too_early_is_told_to_come_again(front: Front) -> None:
    answer = await ask(front, "/v1/deals")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "starting"


async def test_an_open_application_answers_everything(front: Front) -> None:
    front.open(APP)
    for path in ("/page", "/readyz"):
        answer = await ask(front, path)
        assert (answer.status_code, answer.text) == (200, "here")
        assert "connection" not in answer.headers


async def test_while_it_drains_it_works_on_without_being_ready(front: Front) -> None:
    front.open(APP)
    front.drain()
    answer = await ask(front, "/page")
    assert (answer.text, answer.headers["connection"]) == ("here", "close")
    ready = await ask(front, "/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "draining")
