"""The demo tenant: created, filled and read through REST, as any client would."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.standalone.client import Api, ClientError, Refused
from services.standalone.client.imports import follow
from services.standalone.layout import Layout, read_private, write_private
from services.standalone.simulator import PIPELINES, lines, pipeline_body
from services.standalone.simulator.delivery import Event
from services.standalone.simulator.hours import ZONE
from services.standalone.simulator.world import CURRENCY

TENANT = "demo"
FUNNEL = "b2b"
_POLL_SECONDS = 0.3
_LINES_A_CHUNK = 500
Progress = Callable[[int, int], None]


class SeedingFailed(ClientError):
    """The demo's history could not be imported."""


@dataclass(frozen=True, slots=True)
class SeedProgress:
    """Who is told how far the import and the folding are, as (done, total)."""

    imported: Progress
    folded: Progress


Renew = Callable[[], Awaitable[str]]
"""Makes another admin key of the demo tenant."""


async def demo_key(operator: Api, layout: Layout, renew: Renew) -> str:
    """The demo tenant's admin key: the kept one, or that of the tenant created now."""
    if (kept := read_private(layout.demo_key)) is not None:
        return kept
    body = {"id": TENANT, "name": "Demo", "timezone": ZONE, "currency": CURRENCY}
    try:
        answer = await operator.post("/v1/tenants", body)
    except Refused as refusal:
        if refusal.status != 409:
            raise
        return await renew()
    key = str(answer["api_key"])
    write_private(layout.demo_key, key)
    return key


async def define_pipelines(api: Api) -> None:
    """Define the simulator's pipelines where they are missing; a user's own edits stay."""
    for pipeline in PIPELINES.values():
        try:
            await api.get(f"/v1/pipelines/{pipeline.id}")
        except Refused as refusal:
            if refusal.status != 404:
                raise
            await api.put(f"/v1/pipelines/{pipeline.id}", pipeline_body(pipeline))


async def seed(api: Api, events: Sequence[Event], progress: SeedProgress) -> None:
    """Import the history as recorded when it happened, and wait until it has been folded."""
    query = {"origin": "backfill", "recorded": "occurred"}
    headers = {"Content-Type": "application/x-ndjson"}
    started = await api.upload("/v1/imports", _chunks(events), headers, query)
    state = await follow(
        api, started["import_id"], lambda at: progress.imported(at["rows"], len(events))
    )
    if state["state"] != "done" or state["rejected"]:
        raise SeedingFailed(f"the simulated history was not imported: {dict(state)}")
    await until_folded(api, progress.folded)


async def _chunks(events: Sequence[Event]) -> AsyncIterator[bytes]:
    for start in range(0, len(events), _LINES_A_CHUNK):
        yield b"".join(lines(events[start : start + _LINES_A_CHUNK]))


async def until_folded(api: Api, folded: Progress) -> None:
    """Wait until everything accepted so far shows in the funnel."""
    while True:
        state: Mapping[str, Any] = await api.get("/v1/projection")
        partitions = state["partitions"]
        ends = sum(part["end_offset"] for part in partitions)
        folded(sum(part["next_offset"] for part in partitions), ends)
        if state["caught_up"]:
            return
        await asyncio.sleep(_POLL_SECONDS)


async def conversion(api: Api, instants: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """The funnel of the demo tenant, as of given instants or of now."""
    query = {"pipeline_id": FUNNEL, **(instants or {})}
    answer: Mapping[str, Any] = await api.get("/v1/funnel/conversion", query)
    return answer
