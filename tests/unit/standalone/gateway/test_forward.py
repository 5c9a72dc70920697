"""Requests and answers pass unharmed; what is asked twice is only what may be."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from libs.common.clock import SystemClock
from libs.common.web.unhurried import KEY
from services.standalone.gateway.app import gateway_app
from services.standalone.gateway.fleet import fleet_of
from services.standalone.gateway.headers import end_to_end, has_body, to_upstream

Answer = Callable[[httpx.Request], Any]
FLEET = "ingest-api-1=http://one,ingest-api-2=http://two,funnel-api-1=http://three"


class Upstream(httpx.AsyncBaseTransport):
    """The processes behind: remembers what they got, answers as told by host."""

    def __init__(self, **answers: Answer) -> None:
        self.answers, self.got = answers, list[tuple[httpx.Request, bytes]]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = b"".join([piece async for piece in request.stream])  # type: ignore[union-attr]
        self.got.append((request, body))
        answer = self.answers[request.url.host](request)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, httpx.Response)
        return answer

    @property
    def hosts(self) -> list[str]:
        return [request.url.host for request, _ in self.got]


async def ask(upstream: Upstream, method: str, path: str, **options: Any) -> httpx.Response:
    app = gateway_app(fleet_of(FLEET), upstream, SystemClock())
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://headway"
    ) as client:
        return await client.request(method, path, **options)


def well(request: httpx.Request) -> httpx.Response:
    return httpx.Response(201, headers=[("X-A", "1"), ("X-A", "2")], content=b"\x00done")


def refused(request: httpx.Request) -> Exception:
    return httpx.ConnectError("refused")


def lost(request: httpx.Request) -> Exception:
    return httpx.ReadError("gone")


async def test_a_request_passes_whole_and_so_does_its_answer() -> None:
    upstream = Upstream(one=well)
    answer = await ask(
        upstream, "POST", "/v1/events/%2Fa%20b?x=1&x=%C3%A9", content=b"\xff\x00",
        headers={"Authorization": "Bearer k", "Connection": "X-Mine", "X-Mine": "1",
                 "X-Forwarded-For": "192.0.2.1", "X-Request-Id": "r-1"},
    )  # fmt: skip
    ((request, body),) = upstream.got
    assert (request.method, body) == ("POST", b"\xff\x00")
    assert request.url.raw_path == b"/v1/events/%2Fa%20b?x=1&x=%C3%A9"
    assert request.headers["Authorization"] == "Bearer k"
    assert request.headers["X-Forwarded-For"] == "127.0.0.1", "not what the client claims"
    assert request.headers["X-Request-Id"] == "r-1"
    assert "X-Mine" not in request.headers
    assert (answer.status_code, answer.content) == (201, b"\x00done")
    assert answer.headers.get_list("X-A") == ["1", "2"]


async def test_a_body_in_pieces_passes_in_pieces() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    upstream = Upstream(one=well)
    await ask(upstream, "POST", "/v1/imports", content=pieces())
    assert upstream.got[0][1] == b"ab"


@pytest.mark.parametrize(("path", "times"), [("/v1/imports", 1), ("/v1/events", 0)])
async def test_only_files_may_take_their_time(path: str, times: int) -> None:
    lifted: list[None] = []
    app = gateway_app(fleet_of(FLEET), Upstream(one=well), SystemClock())

    async def hurrying(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, KEY: lambda: lifted.append(None)}, receive, send)

    transport = httpx.ASGITransport(hurrying)
    async with httpx.AsyncClient(transport=transport, base_url="http://headway") as client:
        await client.post(path, content=b"{}")
    assert len(lifted) == times


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_what_was_not_sent_is_sent_to_the_next(method: str) -> None:
    upstream = Upstream(one=refused, two=well)
    assert (await ask(upstream, method, "/v1/events")).status_code == 201
    assert upstream.hosts == ["one", "two"]


async def test_a_read_that_was_lost_is_asked_again() -> None:
    upstream = Upstream(one=lost, two=well)
    assert (await ask(upstream, "GET", "/v1/events/x")).status_code == 201


async def test_a_command_that_was_lost_may_have_been_done() -> None:
    upstream = Upstream(one=lost, two=well)
    answer = await ask(upstream, "POST", "/v1/events")
    assert (answer.status_code, answer.json()["code"]) == (502, "bad_gateway")
    assert answer.headers["Retry-After"] == "2"
    assert upstream.hosts == ["one"]


async def test_slowness_is_told_from_loss() -> None:
    upstream = Upstream(one=lambda _: httpx.ReadTimeout("slow"))
    answer = await ask(upstream, "POST", "/v1/events")
    assert (answer.status_code, answer.json()["code"]) == (504, "gateway_timeout")


@pytest.mark.parametrize("path", ["/v1/events", "/v1/metrics/win_rate"])
async def test_nobody_there(path: str) -> None:
    """Refused by all, or no process at all (reporting has none here)."""
    answer = await ask(Upstream(one=refused, two=refused), "POST", path)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/alerts/../../metrics", "/v1/deals/.", "/v1%2Fdeals"])
async def test_no_path_leads_past_its_route(path: str) -> None:
    upstream = Upstream(one=well, two=well, three=well)
    app = gateway_app(fleet_of(FLEET), upstream, SystemClock())
    told = list[Any]()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    raw, scope = path.encode(), {"type": "http", "http_version": "1.1", "method": "GET"}
    more = {"path": path.replace("%2F", "/"), "raw_path": raw, "query_string": b"", "headers": [],
            "scheme": "http", "client": ("127.0.0.1", 1), "server": ("h", 80)}  # fmt: skip
    await app({**scope, **more}, receive, send)
    assert (told[0]["status"], upstream.got) == (404, [])


async def test_the_date_is_told_once() -> None:
    upstream = Upstream(one=lambda _: httpx.Response(200, headers={"Date": "then", "X-A": "1"}))
    answer = await ask(upstream, "GET", "/v1/events/x")
    assert "Date" not in answer.headers
    assert answer.headers["X-A"] == "1"


async def test_other_methods_of_its_own_paths_are_refused() -> None:
    answer = await ask(Upstream(), "POST", "/v1/status")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_headers_between_neighbours_stay_behind() -> None:
    given = [(b"TE", b"x"), (b"Connection", b"close, X-One"), (b"x-one", b"1"), (b"Host", b"h")]
    assert end_to_end(given) == [(b"Host", b"h")]
    told = dict(to_upstream([(b"Expect", b"100-continue")], "r", "::1", "http"))
    assert told == {
        b"x-request-id": b"r", b"x-forwarded-for": b"::1", b"x-forwarded-proto": b"http",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "expected"),
    [([], False), ([(b"Content-Length", b"0")], False), ([(b"content-length", b"3")], True),
     ([(b"Transfer-Encoding", b"chunked")], True)],
)  # fmt: skip
def test_whether_a_request_has_a_body(headers: list[tuple[bytes, bytes]], expected: bool) -> None:
    assert has_body(headers) is expected
