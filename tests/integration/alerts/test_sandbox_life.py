"""The thread through the system: events, a rule, a clock that is moved, an alert, its end."""

import pytest

from tests.integration.alerts.rig import Site, called, created, day, moved, stalled, told

pytestmark = pytest.mark.postgres


async def test_a_deal_stalls_and_moves_on(sandbox: Site) -> None:
    await sandbox.rule(
        "stall", stalled(30, summary="{{deal.name}}: {{elapsed}} in {{deal.stage_name}}")
    )
    first = created("D-1", 0, name="Nine presses", owner_id="u-1")
    await sandbox.say(first, moved("D-1", 40, "offer"))
    await sandbox.clock(29)
    assert await sandbox.alerts() == []
    await sandbox.clock(30)
    (alert,) = await sandbox.alerts()
    assert alert["state"] == "firing"
    assert alert["subject"] == {"type": "deal", "id": "D-1"}
    assert alert["started_at"] == day(30).isoformat().replace("+00:00", "Z")
    assert alert["evidence"]["clock"]["start_event_id"] == first.id
    assert alert["evidence"]["clock"]["elapsed_seconds"] == 30 * 86_400
    assert alert["summary"] == "Nine presses: 30 d in lead"
    assert not alert["late"]
    await sandbox.clock(60)
    (alert,) = await sandbox.alerts()
    assert (alert["state"], alert["resolution"]) == ("resolved", "cleared")
    assert alert["resolved_at"] == day(40).isoformat().replace("+00:00", "Z")
    assert await sandbox.records() == [
        ("D-1", first.id, "alert.fired", day(30)),
        ("D-1", first.id, "alert.resolved", day(40)),
    ]


STORY = (
    created("A", 0), moved("A", 10, "offer"), moved("A", 50, "signed"), told("deal.won", 51, "A"),
    created("B", 5), told("deal.lost", 20, "B"), told("deal.reopened", 30, "B"),
    created("C", 1), called("C", 15), told("deal.deleted", 40, "C"), told("deal.restored", 60, "C"),
)  # fmt: skip
EXPECTED = {
    "A": [("alert.fired", 40), ("alert.resolved", 50)],
    "B": [("alert.fired", 60)],
    "C": [("alert.fired", 31), ("alert.resolved", 40), ("alert.fired", 60)],
}


@pytest.mark.parametrize("steps", [[90], [12, 33, 61, 90], list(range(1, 91))])
async def test_big_steps_and_daily_steps_tell_the_same(sandbox: Site, steps: list[int]) -> None:
    await sandbox.rule("stall", stalled(30))
    await sandbox.say(*STORY)
    for step in steps:
        await sandbox.clock(step)
    found: dict[str, list[tuple[str, float]]] = {}
    for subject, _, type_, at in await sandbox.records():
        found.setdefault(subject, []).append((type_, (at - day(0)).days))
    assert found == EXPECTED


async def test_nothing_is_seen_before_its_time(sandbox: Site) -> None:
    await sandbox.rule("stall", stalled(30))
    await sandbox.say(created("D-1", 0))
    await sandbox.settled()
    assert (await sandbox.call("GET", "/v1/deals/D-1")).status_code == 404
    await sandbox.clock(1)
    assert (await sandbox.ok("GET", "/v1/deals/D-1"))["stage_id"] == "lead"
    answer = await sandbox.call("POST", "/v1/sandbox/clock", json={"now": day(0).isoformat()})
    assert (answer.status_code, answer.json()["code"]) == (422, "clock_backwards")
