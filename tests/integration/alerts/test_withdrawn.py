"""Rules that were deleted: what they armed is forgotten, and nobody arms for them again."""

import pytest

from tests.integration.alerts.rig import Site, created, moved, stalled

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
