"""Bodies that a process holds at a time: bounded in all, whoever sends them, until the answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI, Request
from httpx import ASGITransport, AsyncClient, Response
from prometheus_client import REGISTRY
from pydantic import ValidationError

from libs.common.clock import SystemClock
from libs.common.settings import CommonSettings
from libs.common.web import problems
from libs.common.web.bodies import Bodies
from libs.common.web.body import read_body
from libs.common.web.context import RequestContext

ROOM = 1_000
PART = b"x" * 100


class Slow:
    """A body that comes in parts, the next one when it is told."""

    def __init__(self, parts: int) -> None:
        self.parts, self.asked = parts, 0
        self.go = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.parts):
            self.asked += 1
            yield PART
        await self.go.wait()


class World:
    """Requests of different addresses to one process with room for `ROOM` bytes."""

    def __init__(self) -> None:
        self.bodies, self.app, router = Bodies(ROOM), FastAPI(), APIRouter()
        self.answering, self.answer = asyncio.Event(), asyncio.Event()
        self.answer.set()

        @router.post("/bodies")
        async def take(request: Request) -> int:
            body = await read_body(request, 10 * ROOM)
            self.answering.set()
            await self.answer.wait()
            if body == b"broken":
                raise ValueError
            return len(body)

        self.app.include_router(router)
        problems.install(self.app)
        self.app.add_middleware(RequestContext, clock=SystemClock(), bodies=self.bodies)

    async def send(
        self, content: bytes | Slow, address: str = "203.0.113.1", declared: int | None = None
    ) -> Response:
        transport = ASGITransport(self.app, False, client=(address, 1))
        headers = {} if declared is None else {"content-length": str(declared)}
        async with AsyncClient(transport=transport, base_url="http://headway") as client:
            return await client.post("/bodies", content=content, headers=headers)

    async def holding(self, size: int) -> None:
        async with asyncio.timeout(10):
            while self.bodies.held != size:
                await asyncio.sleep(0)


def told(answer: Response) -> tuple[int, str, bool]:
    return answer.status_code, answer.json()["code"], int(answer.headers["retry-after"]) > 0


def refused() -> float:
    labels = {"limit": "bodies", "outcome": "refused"}
    return REGISTRY.get_sample_value("headway_limited_total", labels) or 0


REFUSED = (503, "overloaded", True)


async def test_a_body_that_there_is_no_room_for_is_refused_before_it_is_read() -> None:
    world, before = World(), refused()
    first, second = Slow(4), Slow(1)
    holding = asyncio.create_task(world.send(first))
    await world.holding(400)
    assert told(await world.send(second, "203.0.113.2", declared=700)) == REFUSED
    assert second.asked == 0
    assert refused() == before + 1
    first.go.set()
    assert (await holding).json() == 400


async def test_a_body_of_unknown_length_is_refused_when_there_is_no_room_for_more() -> None:
    world = World()
    first, second = Slow(4), Slow(7)
    holding = asyncio.create_task(world.send(first))
    await world.holding(400)
    assert told(await world.send(second, "203.0.113.2")) == REFUSED
    await world.holding(400)
    first.go.set()
    assert (await holding).status_code == 200


async def test_what_a_length_promises_holds_nothing() -> None:
    world, silent = World(), Slow(0)
    waiting = asyncio.create_task(world.send(silent, declared=500))
    await asyncio.sleep(0)
    assert (await world.send(PART * 5, "203.0.113.2")).status_code == 200
    silent.go.set()
    await waiting


async def test_a_body_is_held_until_its_request_is_answered() -> None:
    world = World()
    world.answer.clear()
    sending = asyncio.create_task(world.send(PART * 5))
    await world.answering.wait()
    assert world.bodies.held == 500
    assert REGISTRY.get_sample_value("headway_http_body_bytes") == 500
    assert told(await world.send(PART * 6, "203.0.113.2")) == REFUSED
    world.answer.set()
    assert (await sending).json() == 500
    assert world.bodies.held == 0
    assert REGISTRY.get_sample_value("headway_http_body_bytes") == 0


async def test_an_address_holds_no_more_than_it_leaves_to_others() -> None:
    world, first = World(), Slow(5)
    holding = asyncio.create_task(world.send(first))
    await world.holding(500)
    assert told(await world.send(b"x")) == REFUSED
    assert (await world.send(PART * 2, "203.0.113.2")).json() == 200
    assert told(await world.send(PART * 3, "203.0.113.2")) == REFUSED
    first.go.set()
    await holding


async def test_addresses_of_one_ipv6_network_are_one() -> None:
    world, first = World(), Slow(5)
    holding = asyncio.create_task(world.send(first, "2001:db8::1"))
    await world.holding(500)
    assert told(await world.send(b"x", "2001:db8::2")) == REFUSED
    assert (await world.send(b"x", "2001:db8:0:1::2")).status_code == 200
    first.go.set()
    await holding


@pytest.mark.parametrize("content", [b"broken", PART * 11])
async def test_whatever_becomes_of_a_request_gives_its_bytes_back(content: bytes) -> None:
    world = World()
    await world.send(content)
    assert world.bodies.held == 0


async def test_who_leaves_gives_its_bytes_back() -> None:
    world, left = World(), Slow(3)
    sending = asyncio.create_task(world.send(left))
    await world.holding(300)
    sending.cancel()
    await asyncio.wait([sending])
    assert world.bodies.held == 0


def test_room_for_less_than_the_largest_bodies_is_no_setting() -> None:
    assert CommonSettings().body_bytes == 256 * 1024 * 1024
    with pytest.raises(ValidationError):
        CommonSettings(body_bytes=1024 * 1024)
