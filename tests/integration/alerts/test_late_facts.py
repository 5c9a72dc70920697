"""Facts that arrive after an alert was raised: it moves, is retracted, cleared or superseded."""

import orjson
import pytest

from services.alerts.domain import corrections
from tests.integration.alerts.rig import Said, Site, called, created, day, moved, stalled, told

pytestmark = pytest.mark.postgres
CALL = {"activity": {"kinds": ["call"], "direction": "outbound"}}


async def fired(site: Site, rule: dict[str, object], *events: Said, at: float = 35) -> None:
    """A rule, a history, and a clock that has passed the due instant."""
    await site.rule("stall", rule)
    await site.say(*events)
    await site.clock(at)
    assert [alert["state"] for alert in await site.alerts()] == ["firing"]


async def says_late(site: Site, *events: Said) -> None:
    await site.say(*events)
    await site.settled()


async def lives(site: Site) -> list[tuple[str, str, float]]:
    """Each record: its clock-start event, what it is, and on which day."""
    return [
        (start, type_.removeprefix("alert."), (at - day(0)).total_seconds() / 86_400)
        for _, start, type_, at in await site.records()
    ]


async def test_a_late_move_away_retracts(sandbox: Site) -> None:
    """The stage was left before the clock was due; the other stage's clock is not due yet."""
    first = created("D", 0)
    await fired(sandbox, stalled(30), first)
    await says_late(sandbox, moved("D", 20, "offer"))
    (alert,) = await sandbox.alerts()
    assert (alert["state"], alert["resolution"]) == ("resolved", "retracted")
    assert alert["resolved_at"] == alert["started_at"]
    assert await lives(sandbox) == [(first.id, "fired", 30), (first.id, "corrected", 30)]
    await sandbox.clock(60)
    old, new = sorted(await sandbox.alerts(), key=lambda alert: alert["episode"])
    assert (old["id"], new["episode"], new["state"]) == (alert["id"], 2, "firing")
    assert new["started_at"] == day(50).isoformat().replace("+00:00", "Z")


async def test_a_late_event_meets_the_clock(sandbox: Site) -> None:
    first = created("D", 0)
    clock = {"start": "stage_entered_at", "limit": "P30D", "met_by": CALL}
    await fired(sandbox, stalled(clock=clock), first)
    await says_late(sandbox, called("D", 30))
    (alert,) = await sandbox.alerts()
    assert alert["resolution"] == "retracted"
    assert [item["resolution"] for item in alert["corrections"]] == [None]
    assert await lives(sandbox) == [(first.id, "fired", 30), (first.id, "corrected", 30)]


async def test_met_after_it_was_due_clears_at_that_time(sandbox: Site) -> None:
    first = created("D", 0)
    clock = {"start": "stage_entered_at", "limit": "P30D", "met_by": CALL}
    await fired(sandbox, stalled(clock=clock), first)
    await says_late(sandbox, called("D", 31, "email"), called("D", 33))
    assert await lives(sandbox) == [(first.id, "fired", 30), (first.id, "resolved", 33)]


async def test_an_earlier_start_moves_the_alert(sandbox: Site) -> None:
    """The visit turns out to have begun with another, earlier event: the row keeps its id."""
    second = moved("D", 10, "offer")
    await sandbox.rule("stall", stalled(10, scope="deal.stage_id == 'offer'"))
    await sandbox.say(created("D", 0), second)
    await sandbox.clock(25)
    (before,) = await sandbox.alerts()
    earlier = moved("D", 5, "offer")
    await says_late(sandbox, earlier)
    (alert,) = await sandbox.alerts()
    assert (alert["id"], alert["state"], alert["version"]) == (before["id"], "firing", 2)
    assert alert["started_at"] == day(15).isoformat().replace("+00:00", "Z")
    assert alert["evidence"]["clock"]["start_event_id"] == earlier.id
    (correction,) = alert["corrections"]
    assert correction["started_at"] == before["started_at"]
    assert correction["evidence"] == before["evidence"]
    assert await lives(sandbox) == [(second.id, "fired", 20), (earlier.id, "corrected", 15)]


async def test_a_late_end_changes_when_it_was_cleared(sandbox: Site) -> None:
    first = created("D", 0)
    await fired(sandbox, stalled(30), first)
    await sandbox.say(moved("D", 40, "offer"))
    await sandbox.clock(45)
    await says_late(sandbox, moved("D", 36, "demo"))
    (alert,) = await sandbox.alerts()
    assert alert["resolved_at"] == day(36).isoformat().replace("+00:00", "Z")
    assert [item["resolved_at"] for item in alert["corrections"]] == [
        day(40).isoformat().replace("+00:00", "Z")
    ]
    assert await lives(sandbox) == [
        (first.id, "fired", 30), (first.id, "resolved", 40), (first.id, "corrected", 30),
    ]  # fmt: skip


async def test_deletion_clears_and_restoring_raises_anew(sandbox: Site) -> None:
    first = created("D", 0)
    await fired(sandbox, stalled(30, scope="true"), first)
    await sandbox.say(told("deal.deleted", 40, "D"), told("deal.restored", 50, "D"))
    await sandbox.clock(45)
    assert await lives(sandbox) == [(first.id, "fired", 30), (first.id, "resolved", 40)]
    await sandbox.clock(55)
    assert (await lives(sandbox))[2:] == [(first.id, "fired", 50)]


async def test_a_merge_supersedes_and_the_survivor_has_its_own_clocks(sandbox: Site) -> None:
    merged, survivor = created("D", 0), created("S", 10)
    await fired(sandbox, stalled(30), merged, survivor)
    await sandbox.say(told("deal.merged", 36, "S", merged_deal_ids=["D"]))
    await sandbox.clock(45)
    (of_merged,) = await sandbox.alerts(subject_id="D")
    assert (of_merged["resolution"], of_merged["state"]) == ("superseded", "resolved")
    assert of_merged["resolved_at"] == day(36).isoformat().replace("+00:00", "Z")
    (of_survivor,) = await sandbox.alerts(subject_id="S")
    assert of_survivor["started_at"] == day(40).isoformat().replace("+00:00", "Z")


async def test_a_survivor_takes_over_activities_at_the_merge(sandbox: Site) -> None:
    """The merged deal's call counts for the survivor's idle clock, from the merge on."""
    rule = stalled(30, clock={"start": "last_activity_at", "limit": "P30D"})
    survivor = created("S", 0)
    await sandbox.rule("idle", rule)
    await sandbox.say(created("D", 0), called("D", 20), survivor)
    await sandbox.say(told("deal.merged", 40, "S", merged_deal_ids=["D"]))
    await sandbox.clock(60)
    mine = [record for record in await sandbox.records() if record[0] == "S"]
    assert [(type_, at) for _, _, type_, at in mine] == [
        ("alert.fired", day(30)), ("alert.resolved", day(40)), ("alert.fired", day(50)),
    ]  # fmt: skip


async def test_said_twice_changes_nothing(sandbox: Site) -> None:
    first, away = created("D", 0), moved("D", 33, "offer")
    await fired(sandbox, stalled(30), first, at=31)
    for _ in range(3):
        await says_late(sandbox, first, away, first)
    await sandbox.clock(35)
    await says_late(sandbox, away, first)
    assert await lives(sandbox) == [(first.id, "fired", 30), (first.id, "resolved", 33)]


async def test_an_end_that_changes_without_end_is_told_for_ever(
    sandbox: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row and its records keep the first correction and the last ones, and count the others."""
    monkeypatch.setattr(corrections, "MOST", 3)
    first = created("D", 0)
    await fired(sandbox, stalled(30), first)
    await sandbox.say(moved("D", 40, "offer"))
    await sandbox.clock(45)
    for days in (39, 38, 37, 36, 35):
        await says_late(sandbox, moved("D", days, "demo"))
    (alert,) = await sandbox.alerts()
    ends = [day(days).isoformat().replace("+00:00", "Z") for days in (40, 37, 36, 35)]
    assert [item["resolved_at"] for item in alert["corrections"]] == ends[:3]
    assert (alert["resolved_at"], alert["corrections_omitted"]) == (ends[3], 2)
    last = orjson.loads((await sandbox.raw())[-1].value or b"")["alert"]
    assert last == alert
