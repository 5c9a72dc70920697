"""What a connection may cost a port: real sockets, an application that tells what it was given."""

import asyncio
import resource
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import REGISTRY

from libs.common.web.door import Bounds, room_for
from tests.integration.common.connections import CALM, GET, Site, site, status

HASTE = Bounds(receive_seconds=0.2)
POST = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def post(path: str, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return (
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path.encode(), size) + body
    )


def refused(reason: str) -> float:
    return REGISTRY.get_sample_value("headway_http_refused_total", {"reason": reason}) or 0


@pytest.mark.parametrize(
    "pieces",
    [(b"GET / HT",), (GET[:-2],), (b"\r\n",), (post("/", b"a", 9),), (POST, b"1\r\na\r\n")],
    ids=["line", "headers", "nothing but an end of line", "length", "chunks"],
)
async def test_who_does_not_finish_is_told_so_and_left(pieces: Sequence[bytes]) -> None:
    before = refused("request_timeout")
    async with site(HASTE) as opened:
        answer = await opened.says(*pieces)
        assert (status(answer), b'"code":"request_timeout"' in answer) == (408, True)
        assert opened.told.bodies == []
    assert refused("request_timeout") == before + 1


async def test_who_says_nothing_is_left_without_a_word() -> None:
    async with site(HASTE) as opened:
        assert await opened.says() == b""


async def test_a_second_request_has_its_own_time_and_idleness_is_no_slowness() -> None:
    async with site(Bounds(receive_seconds=0.5)) as opened:
        client = await opened.client()
        await client.send(GET)
        assert status(await client.answer()) == 200
        await asyncio.sleep(0.7)  # past the time of receipt, which does not run between requests
        await client.send(GET)
        assert status(await client.answer()) == 200
        await client.send(GET[:9])
        assert status(await client.rest()) == 408


async def test_a_body_that_an_endpoint_watches_over_may_take_longer() -> None:
    async with site(Bounds(receive_seconds=0.5)) as opened:
        client = await opened.client()
        await client.send(post("/file", b"", 2))
        for piece in (b"o", b"k"):
            await asyncio.sleep(0.7)
            await client.send(piece)
        assert status(await client.answer()) == 200
        assert opened.told.bodies == [b"ok"]


async def test_what_comes_after_an_early_answer_is_passed_over_but_not_for_ever() -> None:
    before = refused("request_timeout")
    async with site(HASTE) as opened:
        client = await opened.client()
        await client.send(post("/early", b"a", 10))
        assert status(await client.answer()) == 200
        assert await client.rest() == b""
    assert refused("request_timeout") == before


async def test_an_early_answer_s_connection_goes_on_once_the_body_is_there() -> None:
    async with site(CALM) as opened:
        client = await opened.client()
        await client.send(post("/early", b"a", 3))
        assert status(await client.answer()) == 200
        await client.send(b"bc", GET)
        assert status(await client.answer()) == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 70_000),
        b"GET / HTTP/1.1\r\nX: %s" % (b"a" * 70_000),
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 300 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: aaaaaaaa\r\n" * 40_000,
        POST + b"0\r\nX: %s" % (b"a" * 70_000),
        POST + b"1;%s" % (b"a" * 70_000),
        b"\r\n" * 40_000,
    ],
    ids=["path", "one", "many", "without end", "trailers", "chunk extension", "ends of lines"],
)
async def test_a_head_has_an_end(request_: bytes) -> None:
    async with site(CALM) as opened:
        answer = await opened.says(request_)
        assert status(answer) == 431
        assert opened.told.bodies == []


async def test_a_large_head_that_fits_and_a_body_after_it_are_taken() -> None:
    async with site(CALM) as opened:
        client = await opened.client()
        large = b"POST / HTTP/1.1\r\nX: %s\r\nContent-Length: 300000\r\n\r\n" % (b"a" * 60_000)
        await client.send(large, b"b" * 300_000)
        assert status(await client.answer()) == 200
        await client.send(large, b"b" * 300_000)
        assert status(await client.answer()) == 200
        assert [len(body) for body in opened.told.bodies] == [300_000] * 2


async def test_trailers_are_no_headers() -> None:
    async with site(CALM) as opened:
        client = await opened.client()
        await client.send(POST + b"1\r\na\r\n0\r\nX-Late: y\r\n\r\n")
        assert status(await client.answer()) == 200
        assert b"x-late" not in dict(opened.told.scopes[0]["headers"])


@pytest.mark.parametrize("behind", [GET, GET * 5_000, b"rubbish\0", post("/", b"a", 9)])
async def test_what_follows_a_request_before_its_answer_is_not_one(behind: bytes) -> None:
    async with site(CALM) as opened:
        client = await opened.client()
        await client.send(post("/held", b"first") + behind)
        await asyncio.sleep(0)
        opened.told.go.set()
        answer = await client.rest()
        assert answer.count(b"HTTP/1.1 ") == 1
        assert status(answer) == 200
        assert opened.told.bodies == [b"first"]


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        POST + b"zz\r\n",
        POST + b"1\r\nabc\r\n",
    ],
    ids=["0.9", "coding", "chunk size", "chunk end"],
)
async def test_what_is_malformed_is_answered_once(request_: bytes) -> None:
    async with site(CALM) as opened:
        answer = await opened.says(request_ + GET)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert (status(answer), b'"malformed_request"' in answer) == (400, True)
        assert opened.told.bodies == []


async def test_an_upgrade_is_answered_as_a_plain_request() -> None:
    async with site(CALM) as opened:
        asked = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        answer = await opened.says(asked + GET)
        assert (status(answer), answer.count(b"HTTP/1.1 ")) == (200, 1)


async def test_one_address_s_connections_leave_room_for_others() -> None:
    async with site(Bounds(receive_seconds=60, per_address=2)) as opened:
        first, second = await opened.client(), await opened.client()
        await first.send(GET)
        assert status(await first.answer()) == 200
        crowded = await opened.says()
        assert (status(crowded), b"retry-after: 5" in crowded.lower()) == (503, True)
        other = await opened.client("127.0.0.2")
        await other.send(GET)
        assert status(await other.answer()) == 200
        second.writer.close()
        await second.writer.wait_closed()
        await _until_taken(opened)


async def test_there_is_an_end_to_connections() -> None:
    async with site(Bounds(receive_seconds=60, connections=3)) as opened:
        for n in range(3):
            await (await opened.client(f"127.0.0.{n + 1}")).send(GET)
            assert status(await opened.clients[-1].answer()) == 200
        assert status(await opened.says()) == 503


async def _until_taken(opened: Site) -> None:
    """The server learns of a closed connection when it looks."""
    while True:
        client = await opened.client()
        await client.send(GET)
        if status(await client.answer()) == 200:
            return


async def test_a_refused_connection_ends_what_waited_for_its_body() -> None:
    async with site(CALM) as opened:
        assert status(await opened.says(POST, b"1\r\na\r\n", b"zz\r\n")) == 400
        while not opened.told.left:
            await asyncio.sleep(0)


def test_a_low_limit_of_open_files_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: told.append(both))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 100_000))
    assert room_for(4_096) >= 4_096
    assert told == [(4_608, 100_000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    assert room_for(4_096) == 128
