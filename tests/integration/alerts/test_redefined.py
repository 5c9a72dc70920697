"""A stage's class that changes in a sandbox whose clock stands before ours ends alerts at once."""

from typing import Any

import pytest

from tests.integration.alerts.rig import Site, created, day, moved, stalled

pytestmark = pytest.mark.postgres
AGED = stalled(clock={"start": "created_at", "limit": "P30D"})
OPEN = {"lead": "open", "offer": "open", "signed": "won"}


async def publish(site: Site, classes: dict[str, str], version: int | None = 1) -> None:
    """`version` is the one that it replaces; the answer to all of it is waited for."""
    body = {"name": "B2B", "stages": [{"id": i, "class": c} for i, c in classes.items()]}
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    await site.ok("PUT", "/v1/pipelines/b2b", json=body, headers=headers)
    await site.settled()


async def firing(site: Site, stage: str) -> dict[str, Any]:
    """The alert of an open deal that is in `stage` since day 33, on day 35."""
    await site.rule("aged", AGED)
    await site.say(created("D", 0), moved("D", 33, stage))
    await site.clock(35)
    (alert,) = await site.alerts()
    assert alert["state"] == "firing"
    return alert


async def ends(site: Site, alert: dict[str, Any], how: str, days: float) -> None:
    """The alert has ended, once; the clock that passes everything later adds nothing to it."""
    status = (await site.ok("GET", "/v1/deals/D"))["status"]
    assert status in ("won", "lost")
    (found,) = await site.alerts()
    assert (found["id"], found["state"], found["resolution"]) == (alert["id"], "resolved", how)
    assert found["resolved_at"] == day(days).isoformat().replace("+00:00", "Z")
    told = await site.records()
    assert len(told) == 2
    await site.clock(3650)
    assert await site.records() == told


async def test_a_stage_that_wins_now_clears_at_its_entry(sandbox: Site) -> None:
    await publish(sandbox, OPEN, None)
    alert = await firing(sandbox, "offer")
    await publish(sandbox, OPEN | {"offer": "won"})
    await ends(sandbox, alert, "cleared", 33)


async def test_a_discovered_stage_that_is_published_as_lost_clears(sandbox: Site) -> None:
    alert = await firing(sandbox, "dropped")
    await publish(sandbox, OPEN | {"dropped": "lost"}, None)
    await ends(sandbox, alert, "cleared", 33)


async def test_a_deal_that_was_never_open_retracts(sandbox: Site) -> None:
    await publish(sandbox, OPEN, None)
    alert = await firing(sandbox, "lead")
    await publish(sandbox, OPEN | {"lead": "won"})
    await ends(sandbox, alert, "retracted", 30)
