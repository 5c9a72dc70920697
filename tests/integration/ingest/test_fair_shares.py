"""A41: a tenant that floods a slow log goes to the spool, and is refused where that takes no more;
others are accepted beside it."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.ingest.fakes import stage_event
from tests.integration.ingest.limiting import LimitedApi, limited

pytestmark = pytest.mark.postgres
BATCH, ROOM = 5, 40
WIDE: dict[str, Any] = {"max_waiting": ROOM, "append_deadline": 60, "append_limit": 60}


async def send(client: httpx.AsyncClient, name: str) -> httpx.Response:
    return await client.post("/v1/events", json=[stage_event(f"{name}-{n}") for n in range(BATCH)])


async def flood(api: LimitedApi, requests: int) -> "list[asyncio.Task[httpx.Response]]":
    """So many batches at once, once those that may wait do."""
    sent = [asyncio.create_task(send(api.client, f"noisy{n}")) for n in range(requests)]
    async with asyncio.timeout(30):
        while sum(task.done() for task in sent) < requests - ROOM // 2 // BATCH:
            await asyncio.sleep(0.01)
    return sent


async def test_a_flooding_tenant_leaves_room_to_others(database_url: str, tmp_path: Path) -> None:
    async with limited(database_url, tmp_path, "noisy", **WIDE, spool_max_bytes=0) as api:
        victim = await api.new_tenant("victim")
        api.log.gate.clear()
        first = asyncio.create_task(send(await api.new_tenant("first"), "first"))
        async with asyncio.timeout(30):
            await api.log.held.wait()
        noisy = await flood(api, 20)
        refused = [task.result() for task in noisy if task.done()]
        assert {answer.status_code for answer in refused} == {503}
        assert {answer.json()["code"] for answer in refused} == {"overloaded"}
        assert all("retry-after" in answer.headers for answer in refused)
        calm = asyncio.create_task(send(victim, "victim"))
        while not calm.done() and not api.service.state.acceptor.waiting > ROOM // 2:
            await asyncio.sleep(0.01)
        api.log.gate.set()
        assert (await calm).status_code == 202
        assert (await first).status_code == 202
        taken = [task for task in noisy if (await task).status_code == 202]
        assert len(taken) == ROOM // 2 // BATCH
    order = [name.partition("-")[0] for name in api.log.ids]
    assert order.index("victim") <= 2 * BATCH, "it waits for a turn, not for the flood"


async def test_a_flood_is_accepted_as_long_as_the_spool_takes_it(
    database_url: str, tmp_path: Path
) -> None:
    async with limited(database_url, tmp_path, "lively", **WIDE) as api:
        api.log.gate.clear()
        first = asyncio.create_task(send(await api.new_tenant("earlier"), "earlier"))
        async with asyncio.timeout(30):
            await api.log.held.wait()
        noisy = await flood(api, ROOM // BATCH)
        assert {task.result().status_code for task in noisy if task.done()} == {202}
        api.log.gate.set()
        assert {(await task).status_code for task in [first, *noisy]} == {202}
