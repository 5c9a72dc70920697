"""`/v1/alerts`: filters, pages, taking one on."""

from uuid import uuid4

import pytest

from tests.integration.alerts.rig import Site, Sites, created, day, moved, stalled

pytestmark = pytest.mark.postgres


async def three(site: Site) -> None:
    """Alerts of D-1 (over), D-2 and D-3, that begin on days 10, 11 and 12."""
    await site.rule("r", stalled(10, severity="critical", labels={"owner": "deal.owner_id"}))
    for n in (1, 2, 3):
        await site.say(created(f"D-{n}", n - 1, owner_id=f"u-{n}"))
    await site.say(moved("D-1", 15, "offer"))
    await site.clock(20)


async def test_filters(sandbox: Site) -> None:
    await three(sandbox)

    async def ids(**params: object) -> list[str]:
        return [alert["subject"]["id"] for alert in await sandbox.alerts(**params)]

    assert await ids() == ["D-1", "D-2", "D-3"]
    assert await ids(state="firing") == ["D-2", "D-3"]
    assert await ids(state=["firing", "resolved"]) == ["D-1", "D-2", "D-3"]
    assert await ids(subject_id="D-2") == ["D-2"]
    assert await ids(owner_id=["u-1", "u-3"]) == ["D-1", "D-3"]
    assert await ids(severity="warning") == []
    assert await ids(rule_id="r", started_from=day(11).isoformat()) == ["D-2", "D-3"]
    assert await ids(started_to=day(11).isoformat()) == ["D-1"]
    for params in ({"state": "angry"}, {"started_from": "soon"}, {"colour": "red"}):
        assert (await sandbox.call("GET", "/v1/alerts", params=params)).status_code == 422


async def test_pages_follow_the_start(sandbox: Site) -> None:
    await three(sandbox)
    seen, cursor = [], None
    while True:
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = await sandbox.ok("GET", "/v1/alerts", params=params)
        seen += [alert["subject"]["id"] for alert in page["items"]]
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
    assert seen == ["D-3", "D-2", "D-1"]


async def test_labels_and_one_alert(sandbox: Site) -> None:
    await three(sandbox)
    (alert,) = await sandbox.alerts(subject_id="D-2")
    assert alert["labels"] == {"owner": "u-2"}
    assert await sandbox.ok("GET", f"/v1/alerts/{alert['id']}") == alert
    assert (await sandbox.call("GET", f"/v1/alerts/{uuid4()}")).status_code == 404
    assert (await sandbox.call("GET", "/v1/alerts/nonsense")).status_code == 404


async def test_taking_one_on(sandbox: Site) -> None:
    await three(sandbox)
    (alert,) = await sandbox.alerts(subject_id="D-2")
    path = f"/v1/alerts/{alert['id']}/ack"
    taken = await sandbox.ok("POST", path, json={"lease": "PT4H"})
    assert taken["state"] == "acknowledged"
    assert taken["lease_until"] == day(20 + 4 / 24).isoformat().replace("+00:00", "Z")
    assert [r[2] for r in await sandbox.records() if r[0] == "D-2"][-1] == "alert.fired"
    await sandbox.settled()
    assert [r[2] for r in await sandbox.records() if r[0] == "D-2"] == [
        "alert.fired", "alert.acknowledged",
    ]  # fmt: skip
    for body in ({"lease": "PT0S"}, {"lease": "P1000D"}, {"lease": 4}, {"leases": "PT4H"}):
        assert (await sandbox.call("POST", path, json=body)).status_code == 422
    await sandbox.say(moved("D-2", 21, "offer"))
    await sandbox.clock(22)
    ended = await sandbox.ok("GET", f"/v1/alerts/{alert['id']}")
    assert (ended["state"], ended["resolution"]) == ("resolved", "cleared")
    late = await sandbox.call("POST", path, json={})
    assert (late.status_code, late.json()["code"]) == (409, "alert_moved_on")


async def test_tenants_are_walls(running: Sites) -> None:
    mine, other = await running.new(), await running.new()
    await three(mine)
    alert = (await mine.alerts())[-1]
    assert await other.alerts() == []
    assert (await other.call("GET", f"/v1/alerts/{alert['id']}")).status_code == 404
    answer = await other.call("POST", f"/v1/alerts/{alert['id']}/ack", json={})
    assert answer.status_code == 404


async def test_what_is_not_built_says_so(sandbox: Site) -> None:
    for path in ("snooze", "resolve", "feedback"):
        answer = await sandbox.call("POST", f"/v1/alerts/{uuid4()}/{path}", json={})
        assert (answer.status_code, answer.json()["code"]) == (422, "not_supported_yet")


async def test_real_tenants_have_no_clock_to_move(running: Sites) -> None:
    real = await running.new(sandbox=False)
    for method, options in (("GET", {}), ("POST", {"json": {"now": day(0).isoformat()}})):
        answer = await real.call(method, "/v1/sandbox/clock", **options)
        assert (answer.status_code, answer.json()["code"]) == (422, "not_a_sandbox")
