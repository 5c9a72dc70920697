"""A move of a sandbox's clock: what is due is looked at in order of its due time."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from libs.common.contracts.envelope import from_headers
from libs.common.contracts.topics import ALERT_EVENTS
from services.alerts.adapters import turns
from services.alerts.app import sandboxes
from tests.integration.alerts.rig import PATIENCE, Site, created, day, moved, stalled

pytestmark = pytest.mark.postgres


async def fired(site: Site) -> list[str]:
    """Deals in the order in which their alerts were written."""
    rows = await site.hand.fetch(
        "SELECT record_key FROM alerts.outbox WHERE tenant_id = $1 AND topic = $2 ORDER BY id",
        site.tenant, ALERT_EVENTS,
    )  # fmt: skip
    return [row[0].decode().removeprefix(f"{site.tenant}:") for row in rows]


@pytest.mark.parametrize("chunk", [500, 7])
async def test_alerts_come_in_order_of_due_time(
    sandbox: Site, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(sandboxes, "CHUNK", chunk)
    await sandbox.rule("stall", stalled(30))
    await sandbox.say(*(created(f"D-{n:02}", 20 - n) for n in range(20)))
    await sandbox.clock(25)
    await sandbox.clock(60)
    assert await fired(sandbox) == [f"D-{n:02}" for n in reversed(range(20))]


@pytest.mark.parametrize("chunk", [500, 7])
async def test_so_they_do_where_deals_and_clock_come_at_once(
    sandbox: Site, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Nobody has looked at the deals before: they wait without timers."""
    monkeypatch.setattr(sandboxes, "CHUNK", chunk)
    await sandbox.rule("stall", stalled(30))
    await sandbox.say(*(created(f"D-{n:02}", 20 - n) for n in range(20)))
    await sandbox.clock(60)
    assert await fired(sandbox) == [f"D-{n:02}" for n in reversed(range(20))]


async def instants(site: Site) -> list[tuple[datetime, str]]:
    """When what was told happened, and what, in the order in which it leaves."""
    rows = await site.hand.fetch(
        "SELECT value, header_names, header_values FROM alerts.outbox"
        " WHERE tenant_id = $1 AND topic = $2 ORDER BY id",
        site.tenant, ALERT_EVENTS,
    )  # fmt: skip
    told = [from_headers(tuple(zip(*headers, strict=True)), value) for value, *headers in rows]
    return [(one.occurred_at, one.type.removeprefix("alert.")) for one in told]


@pytest.mark.parametrize("chunk", [500, 7])
async def test_ends_are_told_between_the_beginnings_of_others(
    sandbox: Site, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(sandboxes, "CHUNK", chunk)
    await sandbox.rule("stall", stalled(30, scope="deal.stage_id == 'lead'"))
    for n in range(20):
        await sandbox.say(created(f"D-{n:02}", 20 - n), moved(f"D-{n:02}", 55 - 1.5 * n, "offer"))
    await sandbox.clock(58)
    told = await instants(sandbox)
    expected = [(day(50 - n), "fired") for n in range(10)]
    expected += [(day(55 - 1.5 * n), "resolved") for n in range(10)]
    assert told == sorted(expected)


async def test_an_acknowledgement_comes_after_what_it_is_about(sandbox: Site) -> None:
    await sandbox.rule("stall", stalled(30))
    await sandbox.say(created("D-1", 0))
    await sandbox.clock(31)
    (alert,) = await sandbox.alerts()
    await sandbox.ok("POST", f"/v1/alerts/{alert['id']}/ack", json={})
    await sandbox.settled()
    assert await instants(sandbox) == [(day(30), "fired"), (day(31), "acknowledged")]
    assert [record[2] for record in await sandbox.records()] == [
        "alert.fired", "alert.acknowledged",
    ]  # fmt: skip


async def test_nothing_leaves_while_another_process_judges_what_comes_before_it(
    sandbox: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, release = list[str](), turns.release

    async def looked(conn: Any, tenant_id: str, *instants: datetime) -> None:
        looks.append(tenant_id)
        await release(conn, tenant_id, *instants)

    monkeypatch.setattr(turns, "release", looked)
    await sandbox.rule("stall", stalled(30))
    await sandbox.say(*(created(f"D-{n}", n) for n in range(3)))
    await sandbox.clock(5)
    async with sandbox.hand.transaction():
        first = "SELECT FROM alerts.subjects WHERE tenant_id = $1 AND subject_id = 'D-0' FOR UPDATE"
        await sandbox.hand.execute(first, sandbox.tenant)
        looks.clear()
        await sandbox.ok("POST", "/v1/sandbox/clock", json={"now": day(60).isoformat()})
        async with asyncio.timeout(PATIENCE):
            while len(looks) < 3:
                await asyncio.sleep(0.02)
        assert await fired(sandbox) == []
    await sandbox.settled()
    assert await fired(sandbox) == ["D-0", "D-1", "D-2"]
