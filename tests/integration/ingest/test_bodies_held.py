"""Floods of bodies and of large deliveries: what a process holds is bounded, and who else sends
goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from libs.common.web.bodies import Bodies
from services.ingest.app.turns import LARGE, MOST, Turns
from services.ingest.domain.crm.model import Kind
from services.ingest.domain.crm.pressure import OVER_QUOTA
from tests.integration.ingest.conftest import Api
from tests.integration.ingest.connecting import HUBSPOT_URL, body_of, deliver, put, signed, standard
from tests.integration.ingest.limiting import limited
from tests.integration.ingest.test_quotas_api import SECRETS, telling

pytestmark = pytest.mark.postgres
MIB = 1024 * 1024
_PART = b"x" * (64 * 1024)


class Stalled:
    """A body of `size` bytes whose end does not come before `go`."""

    def __init__(self, size: int) -> None:
        self._size, self.go = size, asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self._size // len(_PART)):
            yield _PART
        await self.go.wait()


def bodies_of(api: Api) -> Bodies:
    app: Any = api.transport.app
    found: Bodies = app.state.limits.bodies
    return found


async def unproven(api: Api, body: Any, address: str) -> httpx.Response:
    transport = httpx.ASGITransport(api.transport.app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        return await client.post("/v1/webhooks/nobody-s", content=body)


async def test_unproven_bodies_fill_no_more_than_their_share(
    database_url: str, tmp_path: Path
) -> None:
    room = {"body_bytes": 4 * MIB}
    async with limited(database_url, tmp_path, "flooded", common=room) as api:
        await put(api, standard(api))
        stalled = [Stalled(MIB) for _ in range(5)]
        flood = [asyncio.create_task(unproven(api, one, "203.0.113.9")) for one in stalled]
        over, _ = await asyncio.wait(flood, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        answer = over.pop().result()
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) > 0
        assert bodies_of(api).held <= 2 * MIB
        body = body_of(note="n" * 100_000)
        taken = await deliver(api, standard(api), body, signed(body))
        assert taken.status_code == 202, taken.text
        for one in stalled:
            one.go.set()
        assert {answer.status_code for answer in await asyncio.gather(*flood)} == {404, 503}
        assert bodies_of(api).held == 0


@pytest.mark.parametrize("path", ["/v1/events", "/v1/tenants", "/v1/connections/c/test"])
async def test_every_route_that_holds_a_body_counts_it(api: Api, path: str) -> None:
    client = api.operator if path == "/v1/tenants" else api.client
    bodies = bodies_of(api)
    bodies.take("203.0.113.9", bodies.limit - 10)
    answer = await client.post(path, json={"id": "n" * 20})
    bodies.give("203.0.113.9", bodies.limit - 10)
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert int(answer.headers["retry-after"]) > 0


@asynccontextmanager
async def all_turns_taken(api: Api) -> AsyncIterator[None]:
    turns: Turns = cast(Any, api.service.state).turns
    async with AsyncExitStack() as stack:
        for _ in range(MOST):
            await stack.enter_async_context(turns.of(api.tenant, LARGE))
        yield


@pytest.mark.parametrize("kind", ["hubspot", "close", "espocrm", "pipedrive", "twenty", "zoho"])
async def test_a_large_delivery_without_a_turn_is_answered_as_its_crm_bears_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    own, large = standard(api, kind), b"x" * LARGE
    monkeypatch.setattr(cast(Any, api.service.state).receiver, "_connectors", {kind: telling(1)})
    secrets = [SECRETS.get(kind, "s" * 32)]
    await put(api, own, kind=kind, secrets=secrets, public_url=HUBSPOT_URL)
    async with all_turns_taken(api):
        answer = await deliver(api, own, large, {})
    if OVER_QUOTA[kind] == "taken":
        assert answer.status_code == 202, answer.text
        return
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert int(answer.headers["retry-after"]) > 0
    assert api.log.records == []
    assert (await deliver(api, own, large, {})).status_code == 202


async def test_what_is_small_or_not_proven_needs_no_turn(api: Api) -> None:
    own, small, large = standard(api), body_of(), body_of(note="n" * LARGE)
    await put(api, own)
    async with all_turns_taken(api):
        assert (await deliver(api, own, large, {})).status_code == 401
        assert (await deliver(api, own, small, signed(small))).status_code == 202
