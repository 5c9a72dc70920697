"""What must hold after an outage: acknowledged is folded, once and in order; the oracle's state."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import httpx

from libs.common.contracts.topics import CRM_EVENTS
from tests.e2e.processes import topics
from tests.e2e.processes.scene import Scene
from tests.e2e.processes.sender import client
from tests.e2e.processes.stack import Process, Stack
from tests.e2e.processes.stream import Event
from tests.e2e.processes.traffic import Traffic

Told = Mapping[str, Sequence[Event]]


def faults(
    scene: Scene, stack: Stack, ingest: Process, traffic: Traffic, *, ordered: bool
) -> list[str]:
    """Everything that is wrong once all is folded; the senders have stopped."""
    told = {tenant: [event for event in events if event["id"] not in traffic.given_up]
            for tenant, events in traffic.acknowledged().items()}  # fmt: skip
    found = list(traffic.failures)
    for tenant, events in told.items():
        found += unfolded(tenant, events, asyncio.run(folded_ids(stack.database_url, tenant)))
        with client(ingest.url, scene.keys[tenant]) as http:
            found += statuses(http, events[:: max(1, len(events) // 20)])
    records = asyncio.run(topics.read(scene.server, CRM_EVENTS, {}))
    funnel = stack.start("funnel", "api").ready()
    found += (disorder(records) if ordered else []) + states(scene.served(funnel), told)
    funnel.kill()
    return found


async def folded_ids(url: str, tenant: str) -> Sequence[str]:
    """The ids of a tenant's events, each as often as it is folded."""
    connection = await asyncpg.connect(url)
    try:
        query = "SELECT event_id FROM funnel.events WHERE tenant_id = $1"
        return [row[0] for row in await connection.fetch(query, tenant)]
    finally:
        await connection.close()


def unfolded(tenant: str, events: Sequence[Event], folded: Sequence[str]) -> list[str]:
    """Acknowledged events have to be there, and no event more than once."""
    lost = sorted({event["id"] for event in events} - set(folded))
    found = [f"{tenant}: {len(lost)} acknowledged events are lost: {lost[:5]}"] if lost else []
    twice = len(folded) - len(set(folded))
    return [*found, f"{tenant}: {twice} events are folded twice"] if twice else found


def statuses(http: httpx.Client, events: Sequence[Event]) -> list[str]:
    """What `GET /v1/events/{id}` says of some of them."""
    found = {e["id"]: http.get(f"/v1/events/{e['id']}").json().get("state") for e in events}
    return [f"{name} is {state}" for name, state in found.items() if state != "folded"]


def disorder(records: Sequence[topics.Kept]) -> list[str]:
    """The first appearances of a deal's events have to be in the order in which they were sent."""
    steps: dict[tuple[str, str], list[int]] = defaultdict(list)
    for record in sorted(records, key=lambda r: (r.partition, r.offset)):
        deal = record.header("ce_tenantid"), record.data["deal_id"]
        step = record.data.get("changes", {}).get("attributes.step", 0)
        if step not in steps[deal]:
            steps[deal].append(step)
    return [f"{deal}: {told}" for deal, told in steps.items() if told != sorted(told)]


def states(deals: Mapping[tuple[str, str], Any], told: Told) -> list[str]:
    """Each deal, by (tenant, deal), as the last event that was acknowledged leaves it."""
    wanted: dict[tuple[str, str], Any] = {}
    for tenant, events in told.items():
        for event in events:
            step = event["data"].get("changes", {}).get("attributes.step")
            wanted[tenant, event["data"]["deal_id"]] = step
    served = {deal: state["attributes"].get("step") for deal, state in deals.items()}
    unlike = [deal for deal, step in wanted.items() if served.get(deal) != step]
    return [f"{deal}: {served.get(deal)} for {wanted[deal]}" for deal in unlike]


def held_back(stack: Stack) -> float:
    """For how many seconds something has not been in the log, as consumers are told."""
    return asyncio.run(_held_back(stack.database_url))


async def _held_back(url: str) -> float:
    connection = await asyncpg.connect(url)
    try:
        query = "SELECT extract(epoch FROM now() - min(oldest_unappended)) FROM ingest.processes"
        return float(await connection.fetchval(query) or 0)
    finally:
        await connection.close()
