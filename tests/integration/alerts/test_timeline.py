"""Alerts in the timeline of their deal, as of two instants and over merges."""

from dataclasses import replace
from typing import Any

import pytest

from tests.integration.alerts.rig import Said, Site, Sites, created, day, moved, stalled, told

pytestmark = pytest.mark.postgres


def z(days: float) -> str:
    return day(days).isoformat().replace("+00:00", "Z")


async def timeline(site: Site, deal: str = "D", limit: int = 500, **at: str) -> list[Any]:
    """All pages, newest first."""
    items: list[Any] = []
    params: dict[str, Any] = {"limit": limit, **at}
    while True:
        page = await site.ok("GET", f"/v1/deals/{deal}/timeline", params=params)
        items += page["items"]
        if not page["has_more"]:
            return items
        params["cursor"] = page["next_cursor"]


async def alerts(site: Site, deal: str = "D", **at: str) -> list[Any]:
    return [item for item in await timeline(site, deal, 500, **at) if item["kind"] == "alert"]


def in_time(*events: Said) -> list[Said]:
    """Known when they happened, as an import with `recorded=occurred` says."""
    return [replace(event, known=event.at) for event in events]


async def test_an_alert_stands_where_its_violation_began(sandbox: Site) -> None:
    first = created("D", 0)
    await sandbox.rule("stall", stalled(30, summary="{{deal.deal_id}} stands"))
    await sandbox.say(first, moved("D", 40, "offer"), told("deal.updated", 30, "D",
                                                           changes={"name": "Nine"}))  # fmt: skip
    await sandbox.clock(50)
    (raised,) = await sandbox.alerts()
    items = await timeline(sandbox)
    (shown,) = [item for item in items if item["kind"] == "alert"]
    assert shown == {
        "kind": "alert", "at": z(30), "recorded_at": raised["detected_at"], "event_id": first.id,
        "source": "/crm", "type": "alert.fired", "actor_id": None, "deal_id": "D",
        "alert": {
            "id": raised["id"], "state": "resolved", "rule_id": "stall", "rule_version": 1,
            "rule_name": "Over 30 days in a stage", "episode": 1, "severity": "warning",
            "summary": "D stands", "late": False, "resolved_at": z(40), "resolution": "cleared",
        },
    }  # fmt: skip
    assert [item["at"] for item in items] == sorted((i["at"] for i in items), reverse=True)
    before = items[items.index(shown) + 1]
    assert (before["at"], before["kind"]) == (z(30), "change"), "after all events of its instant"


async def test_as_of_an_instant_its_end_lies_ahead(sandbox: Site) -> None:
    await sandbox.rule("stall", stalled(30))
    await sandbox.say(*in_time(created("D", 0), moved("D", 40, "offer")))
    for now in (31, 50):
        await sandbox.clock(now)
    assert await alerts(sandbox, valid_at=z(29)) == []
    assert await alerts(sandbox, known_at=z(29)) == []
    for at in ({"valid_at": z(39)}, {"known_at": z(39)}):
        (shown,) = await alerts(sandbox, **at)
        assert (shown["alert"]["state"], shown["alert"]["resolved_at"]) == ("firing", None), at


async def test_a_corrected_alert_is_shown_as_it_is_known(sandbox: Site) -> None:
    await sandbox.rule("stall", stalled(10, scope="deal.stage_id == 'offer'"))
    second, earlier = moved("D", 10, "offer"), moved("D", 5, "offer")
    await sandbox.say(*in_time(created("D", 0), second))
    for now in (21, 25):
        await sandbox.clock(now)
    await sandbox.say(earlier)
    await sandbox.settled()
    (shown,) = await alerts(sandbox)
    assert (shown["at"], shown["event_id"]) == (z(15), earlier.id)
    (shown,) = await alerts(sandbox, known_at=z(24))
    assert (shown["at"], shown["event_id"]) == (z(20), second.id)


async def test_pages_of_every_length_make_the_same_timeline(sandbox: Site) -> None:
    await sandbox.rule("a", stalled(10))
    await sandbox.rule("b", stalled(10))
    await sandbox.say(created("D", 0), moved("D", 10, "offer"), moved("D", 25, "demo"))
    await sandbox.clock(50)
    whole = await timeline(sandbox)
    assert sum(item["kind"] == "alert" for item in whole) == 4
    for limit in range(1, len(whole) + 1):
        assert await timeline(sandbox, limit=limit) == whole, limit


async def test_a_survivor_has_the_alerts_of_those_that_ended_in_it(sandbox: Site) -> None:
    await sandbox.rule("stall", stalled(10))
    await sandbox.say(
        created("S", 0), moved("S", 1, "offer"), moved("S", 19, "demo"), created("M", 5),
        told("deal.merged", 20, "S", merged_deal_ids=["M"]),
    )  # fmt: skip
    await sandbox.clock(25)
    seen = {(item["deal_id"], item["alert"]["resolution"]) for item in await alerts(sandbox, "S")}
    assert seen == {("S", "cleared"), ("M", "superseded")}
    assert {item["deal_id"] for item in await alerts(sandbox, "M")} == {"M"}


async def test_nobody_sees_anothers_alerts(running: Sites) -> None:
    mine, other = await running.new(), await running.new()
    for site in (mine, other):
        await site.say(created("D", 0))
        await site.clock(25)
    await mine.rule("stall", stalled(10))
    await mine.settled()
    assert len(await alerts(mine)) == 1
    assert await alerts(other) == []


@pytest.mark.parametrize(("scopes", "seen"), [(["deals:read"], 0),
                                              (["deals:read", "alerts:read"], 1)])  # fmt: skip
async def test_only_who_may_read_alerts_sees_them(
    running: Sites, sandbox: Site, scopes: list[str], seen: int
) -> None:
    await sandbox.rule("stall", stalled(10))
    await sandbox.say(created("D", 0))
    await sandbox.clock(25)
    reader = replace(sandbox, key=await running.key(sandbox.tenant, scopes))
    assert len(await alerts(reader)) == seen
    assert {item["kind"] for item in await timeline(reader)} >= {"event", "change"}
