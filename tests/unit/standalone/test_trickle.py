"""The trickle asks which deals are open and sends only what fits them."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx

from libs.common.clock import FakeClock
from services.standalone.client import Api
from services.standalone.simulator.world import build_world
from services.standalone.trickle import Trickle

NOW = datetime(2026, 6, 17, 13, 30, tzinfo=UTC)
DEAL = {
    "deal_id": "D-1", "pipeline_id": "b2b", "stage_id": "reach", "status": "open",
    "owner_id": "rep-01", "account_id": "acc-001", "amount": None,
}  # fmt: skip


class Server:
    """Answers with one open deal and one that is not the simulator's; keeps what is posted."""

    def __init__(self, status: int = 202) -> None:
        self.status = status
        self.posted: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            items = [DEAL, DEAL | {"deal_id": "D-2", "pipeline_id": "own"}]
            return httpx.Response(200, json={"items": items, "has_more": False})
        self.posted += json.loads(request.content)
        return httpx.Response(self.status, json={"detail": "later"})


def _trickle(server: Server, clock: FakeClock, per_minute: float = 6) -> Trickle:
    api = Api("http://headway.test", "hw_k_s", httpx.MockTransport(server))
    return Trickle(api, clock, 7, per_minute)


async def test_it_never_touches_a_deal_that_is_not_the_simulators() -> None:
    server, clock = Server(), FakeClock(NOW)
    for _ in range(20):
        await _trickle(server, clock).step(build_world(7), 2)
    assert {event["subject"] for event in server.posted} >= {"D-1"}
    assert not any(event["subject"] == "D-2" for event in server.posted)


async def test_the_same_instant_gives_the_same_events() -> None:
    server = Server()
    first = await _trickle(server, FakeClock(NOW)).step(build_world(7), 3)
    second = await _trickle(server, FakeClock(NOW)).step(build_world(7), 3)
    assert first == second
    assert server.posted == [*first, *second]


async def test_it_ends_when_told_to() -> None:
    stop = asyncio.Event()
    stop.set()
    server = Server()
    await asyncio.wait_for(_trickle(server, FakeClock(NOW)).run(stop), 5)
    assert server.posted == []


async def test_a_refusal_costs_only_the_events_that_were_due() -> None:
    server = Server(status=503)
    trickle = _trickle(server, FakeClock(NOW))
    await trickle.attempt(build_world(7), 1)
    server.status = 202
    await trickle.attempt(build_world(7), 1)
    assert len(server.posted) == 2
