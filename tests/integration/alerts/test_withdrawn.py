"""Rules that were deleted: what they armed is forgotten, and nobody arms for them again."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from services.alerts.adapters.chores import Chores
from tests.integration.alerts.rig import Site, created, day, moved, stalled

pytestmark = pytest.mark.postgres


async def armed(site: Site) -> list[tuple[str, str]]:
    rows = await site.hand.fetch(
        "SELECT subject_id, rule_id FROM alerts.timers WHERE tenant_id = $1 ORDER BY 1, 2",
        site.tenant,
    )
    return [(row[0], row[1]) for row in rows]


async def test_deleted_rules_leave_no_timer_behind(sandbox: Site) -> None:
    for n in range(5):
        await sandbox.rule(f"gone-{n}", stalled(30))
    await sandbox.rule("kept", stalled(60))
    await sandbox.say(created("D", 0), created("E", 0))
    await sandbox.clock(1)
    assert len(await armed(sandbox)) == 12
    for n in range(5):
        await sandbox.ok("DELETE", f"/v1/rules/gone-{n}")
    await sandbox.say(moved("D", 2, "offer"))
    await sandbox.clock(3)
    assert [of for deal, of in await armed(sandbox) if deal == "D"] == ["kept"]
    await sandbox.clock(40)
    assert await armed(sandbox) == [("D", "kept"), ("E", "kept")]
    assert await sandbox.alerts() == []


async def test_the_last_rule_leaves_none_either_and_ends_its_alerts(sandbox: Site) -> None:
    await sandbox.rule("only", stalled(30))
    await sandbox.say(created("D", 0), created("E", 20))
    await sandbox.clock(35)
    await sandbox.ok("DELETE", "/v1/rules/only")
    await sandbox.clock(60)
    (alert,) = await sandbox.alerts()
    assert (alert["subject"]["id"], alert["resolution"]) == ("D", "superseded")
    assert await armed(sandbox) == []


async def delete(site: Site) -> None:
    await site.ok("DELETE", "/v1/rules/r")


async def switch_off(site: Site) -> None:
    await put(site, mode="off")


async def put(site: Site, **changes: str) -> None:
    """A version that replaces the one that is there, if one is."""
    current = await site.call("GET", "/v1/rules/r")
    match = {"If-Match": current.headers["etag"]} if current.is_success else {}
    await site.rule("r", stalled(30, **changes), **match)


async def not_yet(_: Chores) -> bool:
    return False


@pytest.mark.parametrize("withdraw", [delete, switch_off])
async def test_a_rule_that_comes_back_before_anybody_looked_has_ended_its_alerts(
    sandbox: Site,
    monkeypatch: pytest.MonkeyPatch,
    withdraw: Callable[[Site], Coroutine[Any, Any, None]],
) -> None:
    await put(sandbox)
    await sandbox.say(created("D", 0))
    await sandbox.clock(40)
    with monkeypatch.context() as held:
        held.setattr(Chores, "sweep", not_yet)
        await withdraw(sandbox)
        await put(sandbox)
    await sandbox.clock(50)
    first, second = sorted(await sandbox.alerts(), key=lambda alert: int(alert["episode"]))
    ended = day(40).isoformat().replace("+00:00", "Z")
    assert (first["resolution"], first["resolved_at"]) == ("superseded", ended)
    assert (first["rule_version"], first["corrections"]) == (1, [])
    assert (second["state"], second["rule_version"]) == ("firing", 3)
    assert second["started_at"] == first["started_at"]
