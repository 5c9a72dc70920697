"""A letter's whole way, every service in one process: put aside by the funnel, mended, redriven,
folded."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import NewRecord, Record
from services.funnel.app import batch
from services.funnel.app.decode import decode
from tests.integration.ingest.burying import until
from tests.integration.ingest.fakes import stage_event
from tests.integration.ingest.together import Site, together

pytestmark = pytest.mark.postgres


@pytest.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with together(database_url, tmp_path) as opened:
        yield opened


async def test_from_the_funnel_to_the_table_and_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(record: Record) -> Any:
        if dict(record.headers)["ce_id"] == b"odd":
            raise KeyError("a bug of ours")
        return decode(record)

    monkeypatch.setattr(batch, "decode", failing)
    client = await site.tenant("acme")
    await client.post("/v1/events", json=[stage_event("odd"), stage_event("even")])

    async def state_of(event_id: str) -> str:
        return str((await client.get(f"/v1/events/{event_id}")).json()["state"])

    async def is_in(event_id: str, state: str) -> bool:
        return await state_of(event_id) == state

    await until(lambda: is_in("odd", "dead"))
    await until(lambda: is_in("even", "folded"))
    (letter,) = (await client.get("/v1/dead-letters")).json()["items"]
    assert (letter["code"], letter["reader_group"], letter["deal_id"]) == ("bug", "funnel", "D-odd")

    body = {"ids": [letter["id"]]}
    await client.post("/v1/dead-letters/redrive", json=body)
    path = f"/v1/dead-letters/{letter['id']}"

    async def is_open_again() -> bool:
        told = (await client.get(path)).json()
        return told["state"] == "open" and len(told["history"]) == 2

    await until(is_open_again)
    assert await state_of("odd") == "dead", "redriven before it was mended"

    monkeypatch.setattr(batch, "decode", decode)
    for _ in range(2):
        answer = await client.post("/v1/dead-letters/redrive", json=body)
        assert answer.status_code == 200
    told = (await client.get("/v1/events/odd?wait=folded&timeout=30")).json()
    assert (told["state"], told["reason"]) == ("folded", None)
    stages = (await client.get("/v1/deals/D-odd/stages")).json()
    assert len(stages["visits"]) == 1, "one effect"
    assert [one["state"] for one in (await client.get("/v1/dead-letters")).json()["items"]] == [
        "redriven"
    ]
    await _of_a_tenant_to_come_and_of_nobody(site, client)


async def _of_a_tenant_to_come_and_of_nobody(site: Site, client: httpx.AsyncClient) -> None:
    """An event of a tenant that does not exist yet, and one that nobody can read."""
    (record, *_) = [r for part in site.log.topic(CRM_EVENTS).records for r in part]
    headers = dict(record.headers) | {"ce_tenantid": b"late"}
    await site.log.append(
        CRM_EVENTS,
        [
            NewRecord(record.key, record.value, tuple(headers.items())),
            NewRecord(b"k", b"{", (("ce_tenantid", b"acme"),)),
        ],
    )

    async def letters(who: httpx.AsyncClient, code: str) -> list[Any]:
        return list((await who.get(f"/v1/dead-letters?code={code}")).json()["items"])

    await until(lambda: letters(site.operator, "unknown_tenant"))
    await until(lambda: letters(client, "undecodable"))
    late = await site.tenant("late")
    assert await letters(late, "unknown_tenant") == []
    again = await site.operator.post("/v1/dead-letters/redrive", json={"code": "unknown_tenant"})
    assert again.json()["redriven"] == 1
    event_id = headers["ce_id"].decode()
    told = (await late.get(f"/v1/events/{event_id}?wait=folded&timeout=30")).json()
    assert told["state"] == "folded"
