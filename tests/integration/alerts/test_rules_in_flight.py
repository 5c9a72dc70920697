"""A rule changes while deals are being judged by what it was: the last word is the new version's.

The judgement is held right after it has read the rules, a change right before it commits.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from services.alerts.adapters import chores
from services.alerts.adapters.store import PostgresJudging
from tests.integration.alerts.rig import PATIENCE, Site, created, day, moved, stalled

pytestmark = pytest.mark.postgres
_SWEPT_OR_WAITS = """SELECT NOT EXISTS (SELECT FROM alerts.sweeps WHERE tenant_id = $1)
    OR EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock')"""
Change = Callable[[Site, str], Coroutine[Any, Any, None]]


class Gate:
    """Holds the first that comes."""

    def __init__(self) -> None:
        self.reached, self._open = asyncio.Event(), asyncio.Event()

    async def passed(self) -> None:
        if not self.reached.is_set():
            self.reached.set()
            await asyncio.wait_for(self._open.wait(), PATIENCE)

    def open(self) -> None:
        self._open.set()


def gated(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> Gate:
    """A gate before a function of this process."""
    gate, inner = Gate(), getattr(owner, name)

    async def held(*args: Any) -> Any:
        await gate.passed()
        return await inner(*args)

    monkeypatch.setattr(owner, name, held)
    return gate


async def delete(site: Site, etag: str) -> None:
    await site.ok("DELETE", "/v1/rules/r")


async def switch_off(site: Site, etag: str) -> None:
    await site.rule("r", stalled(mode="off"), **{"If-Match": etag})


async def edit(site: Site, etag: str) -> None:
    await site.rule("r", stalled(scope="deal.stage_id == 'offer'"), **{"If-Match": etag})


CHANGES = pytest.mark.parametrize("change", [delete, switch_off, edit])


async def in_flight(site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Gate]:
    """The rule's version, and a judgement by it that is about to raise an alert of D."""
    made = await site.call("PUT", "/v1/rules/r", json=stalled())
    await site.say(created("D", 0))
    await site.clock(1)
    judgement = gated(monkeypatch, PostgresJudging, "facts")
    await site.ok("POST", "/v1/sandbox/clock", json={"now": day(40).isoformat()})
    await asyncio.wait_for(judgement.reached.wait(), PATIENCE)
    return str(made.headers["etag"]), judgement


async def swept(site: Site) -> None:
    """The sweep of the change is over, or waits for the judgement."""
    async with asyncio.timeout(PATIENCE):
        while not await site.hand.fetchval(_SWEPT_OR_WAITS, site.tenant):
            await asyncio.sleep(0.01)


async def told(site: Site, *wanted: str) -> None:
    """Alerts in these states, once there are as many."""
    async with asyncio.timeout(PATIENCE):
        while len(found := await site.alerts()) < len(wanted):
            await asyncio.sleep(0.01)
    assert [alert["resolution"] or alert["state"] for alert in found] == list(wanted)


@CHANGES
async def test_a_judgement_that_ends_after_a_change_leaves_no_alert(
    sandbox: Site, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    etag, judgement = await in_flight(sandbox, monkeypatch)
    await change(sandbox, etag)
    await swept(sandbox)
    judgement.open()
    await sandbox.settled()
    await told(sandbox, "superseded")


@CHANGES
async def test_a_judgement_that_ends_while_a_change_commits_leaves_none(
    sandbox: Site, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    etag, judgement = await in_flight(sandbox, monkeypatch)
    writing = gated(monkeypatch, chores, "begin_sweep")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(change(sandbox, etag))
        await asyncio.wait_for(writing.reached.wait(), PATIENCE)
        judgement.open()
        await told(sandbox, "firing")
        writing.open()
    await sandbox.settled()
    await told(sandbox, "superseded")


async def test_a_rule_that_comes_while_new_facts_are_judged_sees_them(
    sandbox: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judgement settles its deals; the mark of the new rule waits and stands."""
    await sandbox.rule("other", stalled(300))
    await sandbox.say(created("D", 0))
    await sandbox.clock(40)
    judgement = gated(monkeypatch, PostgresJudging, "facts")
    await sandbox.say(moved("D", 1, "offer"))
    await asyncio.wait_for(judgement.reached.wait(), PATIENCE)
    await sandbox.rule("r", stalled(39))
    await swept(sandbox)
    judgement.open()
    await sandbox.settled()
    await told(sandbox, "firing")


async def test_a_sweep_passes_by_the_deals_without_alerts(
    sandbox: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chores, "CHUNK", 2)
    made = await sandbox.call("PUT", "/v1/rules/r", json=stalled(scope="deal.stage_id == 'offer'"))
    calm = [created(f"D-{n}", 0) for n in range(5)]
    await sandbox.say(*calm, created("D-5", 0, stage="offer"))
    await sandbox.clock(40)
    await told(sandbox, "firing")
    await switch_off(sandbox, str(made.headers["etag"]))
    await sandbox.settled()
    await told(sandbox, "superseded")
