"""A deal as HubSpot tells its life, over HTTP: in order, in reverse, twice; always the same one."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.common.clock import SystemClock
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.runtime import Resources, run_workers
from libs.common.settings import CommonSettings
from services.ingest.app.bootstrap_keys import ensure_operator_key
from services.standalone.composition import composed
from tests.integration.ingest.connecting import HUBSPOT_URL, hubspot_v3

pytestmark = pytest.mark.postgres
SECRET = "the client secret of an app"
START = 1_772_355_600_000
"""Milliseconds: 2026-03-01T09:00:00Z."""

AS_OF = "valid_at=2026-03-02T00:00:00Z"
"""A fixed one: an open visit goes on until then."""


def told(minute: int, subscription: str, deal: int, **more: Any) -> dict[str, Any]:
    return {
        "eventId": minute, "subscriptionId": 7, "portalId": 33, "appId": 1,
        "occurredAt": START + minute * 60_000, "subscriptionType": f"deal.{subscription}",
        "attemptNumber": 0, "objectId": deal, "changeSource": "CRM",
    } | more  # fmt: skip


def changed(minute: int, deal: int, name: str, value: str) -> dict[str, Any]:
    return told(minute, "propertyChange", deal, propertyName=name, propertyValue=value)


def life(deal: int, *, deleted: bool) -> list[dict[str, Any]]:
    whole = [
        told(0, "creation", deal),
        changed(0, deal, "dealname", "Nine presses"),
        changed(1, deal, "amount", "12000.50"),
        changed(2, deal, "dealstage", "proposal"),
        changed(3, deal, "amount", "13000"),
        changed(4, deal, "dealstage", "negotiation"),
    ]
    return [*whole, told(5, "deletion", deal)] if deleted else whole


class World:
    """Every service in one process; `connections` of one tenant, each with its own prefix."""

    def __init__(self, transport: httpx.ASGITransport, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self.client = httpx.AsyncClient(transport=transport, base_url="http://all", headers=headers)

    async def connect(self, name: str) -> None:
        body = {"kind": "hubspot", "secrets": [SECRET], "id_prefix": f"{name}-",
                "public_url": HUBSPOT_URL}  # fmt: skip
        answer = await self.client.put(f"/v1/connections/{name}", json=body)
        assert answer.status_code == 201, answer.text

    async def deliver(self, name: str, batches: Iterable[list[dict[str, Any]]]) -> dict[str, int]:
        sums = {"accepted": 0, "duplicates": 0}
        for batch in batches:
            body = json.dumps(batch).encode()
            answer = await self.client.post(
                f"/v1/webhooks/{name}", content=body, headers=hubspot_v3(body, SECRET)
            )
            assert answer.status_code == 202, answer.text
            assert answer.json()["rejected"] == 0, answer.text
            sums = {field: sums[field] + answer.json()[field] for field in sums}
        return sums

    async def deal(self, name: str, deal: int) -> tuple[int, str]:
        """Its state and stages, in the words of whoever has no connection's name in them."""
        async with asyncio.timeout(30):
            while not (await self.client.get("/v1/projection")).json()["caught_up"]:
                await asyncio.sleep(0.02)
        state = await self.client.get(f"/v1/deals/{name}-{deal}?{AS_OF}")
        stages = await self.client.get(f"/v1/deals/{name}-{deal}/stages?{AS_OF}")
        shown = state.json()
        shown.pop("recorded_at", None)
        shown.pop("version", None)
        words = json.dumps([shown, stages.json()], sort_keys=True)
        return state.status_code, words.replace(f"{name}-", "").replace(f"/{name}", "/")


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    clock = SystemClock()
    settings = CommonSettings(data_dir=tmp_path, partitions=2)
    resources = Resources(clock, settings, database_url, MemoryLog(clock), b"k" * 32, "lives")
    stop = asyncio.Event()
    async with composed(resources) as composition:
        app = composition.app
        async with app.router.lifespan_context(app):
            working = asyncio.create_task(run_workers(composition.workers, stop))
            operator = await ensure_operator_key(database_url, resources.key_for("api-keys"), clock)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://all",
                headers={"Authorization": f"Bearer {operator}"},
            ) as operating:  # fmt: skip
                made = await operating.post("/v1/tenants", json={"id": "lives"})
            try:
                yield World(transport, made.json()["api_key"])
            finally:
                stop.set()
                await working


def again(event: dict[str, Any]) -> dict[str, Any]:
    """The same, as HubSpot repeats it."""
    return event | {"attemptNumber": 3}


async def test_in_order_in_reverse_and_twice_it_is_the_same_deal(world: World) -> None:
    whole = [*life(1, deleted=False), *life(2, deleted=True)]
    orders: dict[str, list[list[dict[str, Any]]]] = {
        "forward": [[event] for event in whole],
        "reverse": [[event] for event in reversed(whole)],
        "twice": [list(reversed(whole)), [again(event) for event in whole], whole],
    }
    seen = {}
    for name, batches in orders.items():
        await world.connect(name)
        sums = await world.deliver(name, batches)
        repeated = 2 if name == "twice" else 0
        assert sums["duplicates"] == repeated * sums["accepted"], name
        seen[name] = sums["accepted"], [await world.deal(name, deal) for deal in (1, 2)]
    assert seen["forward"] == seen["reverse"] == seen["twice"]
    accepted, ((status, open_deal), (_, deleted_deal)) = seen["forward"]
    assert (accepted >= len(whole), status) == (True, 200)
    assert '"stage_id": "negotiation"' in open_deal
    assert "13000" in open_deal
    assert open_deal != deleted_deal.replace('"2"', '"1"')
