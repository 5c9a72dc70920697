"""A move of a sandbox's clock: what is due is looked at in order of its due time."""

import pytest

from libs.common.contracts.topics import ALERT_EVENTS
from services.alerts.app import sandboxes
from tests.integration.alerts.rig import Site, created, stalled

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


async def test_so_they_do_where_deals_and_clock_come_at_once(sandbox: Site) -> None:
    """Nobody has looked at the deals before: they wait without timers."""
    await sandbox.rule("stall", stalled(30))
    await sandbox.say(*(created(f"D-{n:02}", 20 - n) for n in range(20)))
    await sandbox.clock(60)
    assert await fired(sandbox) == [f"D-{n:02}" for n in reversed(range(20))]
