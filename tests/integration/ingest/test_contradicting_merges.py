"""A merge that contradicts earlier ones, from the door to what the door then tells of it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ingest.burying import until
from tests.integration.ingest.fakes import stage_event
from tests.integration.ingest.together import Site, together

pytestmark = pytest.mark.postgres


@pytest.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with together(database_url, tmp_path) as opened:
        yield opened


def _merge(event_id: str, survivor: str, merged: str, minute: int) -> dict[str, Any]:
    data = {"deal_id": survivor, "merged_deal_ids": [merged]}
    time = f"2026-03-01T10:{minute:02}:00Z"
    return stage_event(event_id, type="deal.merged", time=time, data=data)


async def test_a_merge_that_would_close_a_cycle_is_told_as_a_conflict(site: Site) -> None:
    client = await site.tenant("cyclic")
    await client.post("/v1/events", json=[stage_event("a"), stage_event("b")])
    await client.post("/v1/events", json=[_merge("into-b", "D-b", "D-a", 1)])
    await client.post("/v1/events", json=[_merge("into-a", "D-a", "D-b", 2)])

    async def told(event_id: str) -> tuple[str, str | None]:
        answer = (await client.get(f"/v1/events/{event_id}")).json()
        return answer["state"], answer["reason"]

    async def is_conflict() -> bool:
        return await told("into-a") == (
            "conflict",
            "conflict: this merge contradicts an earlier one",
        )

    await until(is_conflict)
    assert await told("into-b") == ("folded", None)
    (letter,) = (await client.get("/v1/dead-letters?code=conflict")).json()["items"]
    assert (letter["event_id"], letter["reader_group"]) == ("into-a", "funnel")
    assert (await client.get("/v1/deals/D-a")).json()["merged_into"] == "D-b"
    assert (await client.get("/v1/deals/D-b")).json()["merged_into"] is None
