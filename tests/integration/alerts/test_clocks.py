"""Which clocks there are: by stage, by creation, by idleness; what meets them and what excuses."""

from dataclasses import replace
from datetime import datetime

import pytest

from tests.integration.alerts.rig import Site, called, created, day, moved, stalled, told

pytestmark = pytest.mark.postgres


async def days(site: Site, type_: str = "alert.fired") -> list[float]:
    found = [at for _, _, kind, at in await site.records() if kind == type_]
    return sorted((at - day(0)).total_seconds() / 86_400 for at in found)


async def test_idle_clocks_restart_with_each_activity(sandbox: Site) -> None:
    await sandbox.rule("idle", stalled(clock={"start": "last_activity_at", "limit": "P10D"}))
    await sandbox.say(created("D", 0), called("D", 9), called("D", 15), moved("D", 20, "offer"))
    await sandbox.clock(30)
    assert await days(sandbox) == [25]


async def test_what_a_reconciliation_tells_again_ends_no_idleness(sandbox: Site) -> None:
    await sandbox.rule("idle", stalled(clock={"start": "last_activity_at", "limit": "P10D"}))
    again = replace(called("D", 15, activity_id="x"), origin="reconcile")
    await sandbox.say(created("D", 0), called("D", 9, activity_id="x"), again)
    await sandbox.clock(30)
    assert await days(sandbox) == [19]


async def test_without_an_activity_idleness_runs_from_creation(sandbox: Site) -> None:
    await sandbox.rule("idle", stalled(clock={"start": "last_activity_at", "limit": "P10D"}))
    await sandbox.say(created("D", 0), called("D", 12))
    await sandbox.clock(20)
    assert (await days(sandbox), await days(sandbox, "alert.resolved")) == ([10], [12])


async def test_a_creation_that_is_posted_ahead_counts_once_it_has_happened(sandbox: Site) -> None:
    clock = {"start": "created_at", "limit": "P30D"}
    await sandbox.rule("age", stalled(clock=clock, scope="true"))
    await sandbox.say(called("D", 0), created("D", 60))
    await sandbox.clock(40)
    (alert,) = await sandbox.alerts()
    assert datetime.fromisoformat(alert["started_at"]) == day(30)
    await sandbox.clock(70)
    (alert,) = await sandbox.alerts()
    assert (alert["resolution"], datetime.fromisoformat(alert["resolved_at"])) == (
        "cleared",
        day(60),
    )


async def test_a_planned_activity_excuses_until_its_time(sandbox: Site) -> None:
    await sandbox.rule("idle", stalled(clock={"start": "last_activity_at", "limit": "P10D"}))
    plan = told(
        "activity.scheduled", 5, "D", activity_id="p-1", kind="meeting",
        scheduled_for=day(18).isoformat(),
    )  # fmt: skip
    await sandbox.say(created("D", 0), plan)
    for step in (11, 17, 25):
        await sandbox.clock(step)
    assert await days(sandbox) == [18]


async def test_done_when_planned_is_in_time(sandbox: Site) -> None:
    await sandbox.rule("idle", stalled(clock={"start": "last_activity_at", "limit": "P10D"}))
    plan = {"activity_id": "p-1", "kind": "meeting"}
    await sandbox.say(
        created("D", 0),
        told("activity.scheduled", 5, "D", scheduled_for=day(18).isoformat(), **plan),
        told("activity.completed", 18, "D", **plan),
    )
    await sandbox.clock(27)
    assert await days(sandbox) == []


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([called("D", 0)], []),
        ([called("D", 10)], []),
        ([called("D", 10.001)], [10]),
        ([called("D", 5, "email")], [10]),
        ([called("D", 5, direction="inbound")], [10]),
        ([called("D", 5, automated=True)], [10]),
        ([moved("D", 10, "offer")], []),
    ],
)
async def test_what_meets_a_clock_in_time(
    sandbox: Site, events: list[object], expected: list[float]
) -> None:
    met_by = {"activity": {"kinds": ["call"], "direction": "outbound", "automated": False}}
    clock = {"start": "stage_entered_at", "limit": "P10D", "met_by": met_by}
    await sandbox.rule("touch", stalled(clock=clock))
    await sandbox.say(created("D", 0), *events)  # type: ignore[arg-type]
    await sandbox.clock(12)
    assert await days(sandbox) == expected


async def test_a_scope_that_turns_true_later_fires_then(sandbox: Site) -> None:
    rule = stalled(scope="deal.owner_id == 'u-2'", clock={"start": "created_at", "limit": "P10D"})
    await sandbox.rule("mine", rule)
    await sandbox.say(
        created("D", 0, owner_id="u-1"),
        told("deal.updated", 20, "D", changes={"owner_id": "u-2"}),
        told("deal.updated", 25, "D", changes={"owner_id": "u-3"}),
        told("deal.updated", 28, "D", changes={"owner_id": "u-2"}),
    )
    await sandbox.clock(40)
    assert (await days(sandbox), await days(sandbox, "alert.resolved")) == ([20, 28], [25])


async def test_an_offset_shifts_the_due_instant(sandbox: Site) -> None:
    clock = {"start": "created_at", "offset": "P3D", "limit": "P10D"}
    await sandbox.rule("aged", stalled(clock=clock))
    await sandbox.say(created("D", 0))
    await sandbox.clock(14)
    assert await days(sandbox) == [13]


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("fire_late", {"over": 10, "stands": 60}),
        ("fire_if_still_true", {"stands": 60}),
        ("skip_older_than:P15D", {"stands": 60}),
        ("skip_older_than:P5D", {}),
    ],
)
async def test_catching_up(sandbox: Site, catch_up: str, expected: dict[str, int]) -> None:
    await sandbox.rule("stall", stalled(10, catch_up=catch_up))
    await sandbox.say(created("over", 0), moved("over", 12, "x"), told("deal.won", 13, "over"))
    await sandbox.say(created("stands", 50))
    await sandbox.clock(70)
    fired = {
        s: (at - day(0)).days for s, _, kind, at in await sandbox.records() if kind == "alert.fired"
    }
    assert fired == expected


async def test_what_was_over_before_the_rule_raises_nothing(sandbox: Site) -> None:
    await sandbox.say(created("over", 0), moved("over", 40, "offer"), created("stands", 0))
    await sandbox.clock(45)
    await sandbox.rule("stall", stalled(30))
    await sandbox.settled()
    assert {alert["subject"]["id"] for alert in await sandbox.alerts()} == {"stands"}
