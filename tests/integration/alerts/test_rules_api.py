"""`/v1/rules`: what can be saved, what is refused and why, versions, deletion."""

from typing import Any

import pytest

from tests.integration.alerts.rig import Site, Sites, created, stalled

pytestmark = pytest.mark.postgres
NOT_BUILT = [
    ({"mode": "shadow"}, "/mode"),
    ({"subject": "lead"}, "/subject"),
    ({"condition": "true"}, "/condition"),
    ({"every": "PT5M"}, "/every"),
    ({"for": "PT1H"}, "/for"),
    ({"keep_firing_for": "PT1H"}, "/keep_firing_for"),
    ({"on_change": "restart"}, "/on_change"),
    ({"playbook_id": "ladder"}, "/playbook_id"),
    ({"clock": None}, "/clock"),
    ({"clock": {"start": "renewal_date", "limit": "P1D"}}, "/clock/start"),
    ({"clock": {"start": "created_at", "limit": "P1D", "time": "working"}}, "/clock/time"),
    ({"clock": {"start": "created_at", "limit": "P1D", "calendar_id": "c"}}, "/clock/calendar_id"),
    ({"clock": {"start": "created_at", "limit": "P1D", "pause_when": "true"}}, "/clock/pause_when"),
    ({"clock": {"start": "created_at", "limit": "P1D", "warn_at": [0.8]}}, "/clock/warn_at"),
    ({"scope": "deal.created_at < now"}, "/scope"),
]
WRONG = [
    ({"scope": "deal.status =="}, "/scope"),
    ({"scope": "foo == 1"}, "/scope"),
    ({"scope": "'a'"}, "/scope"),
    ({"scope": ""}, "/scope"),
    ({"scope": "(" * 500 + "true" + ")" * 500}, "/scope"),
    ({"labels": {"team": "nobody.x"}}, "/labels/team"),
    ({"labels": {"bad name": "'x'"}}, "/labels/bad name/[key]"),
    ({"summary": "{{deal.nonsense}}"}, "/summary"),
    ({"severity": "fatal"}, "/severity"),
    ({"catch_up": "never"}, "/catch_up"),
    ({"catch_up": "skip_older_than:soon"}, "/catch_up"),
    ({"name": ""}, "/name"),
    ({"unknown": 1}, "/unknown"),
    ({"for_": "PT0S"}, "/for_"),
    ({"clock": {"start": "created_at"}}, "/clock/limit"),
    ({"clock": {"start": "created_at", "limit": "-P1D"}}, "/clock/limit"),
    ({"clock": {"start": "created_at", "limit": "P99999999D"}}, "/clock/limit"),
    ({"clock": {"start": "created_at", "limit": 30}}, "/clock/limit"),
    (
        {"clock": {"start": "created_at", "limit": "P1D", "met_by": {"activity": {"kinds": []}}}},
        "/clock/met_by/activity/kinds",
    ),
]


def pointers(answer: Any) -> list[str]:
    return [item.get("pointer", "") for item in answer.json()["errors"]]


@pytest.mark.parametrize("path", ["/v1/rules/r", "/v1/rules/check"])
@pytest.mark.parametrize(("change", "pointer"), NOT_BUILT)
async def test_what_is_not_built_is_refused_not_ignored(
    sandbox: Site, change: dict[str, Any], pointer: str, path: str
) -> None:
    method = "POST" if path.endswith("check") else "PUT"
    answer = await sandbox.call(method, path, json=stalled(30, **change))
    assert (answer.status_code, answer.json()["code"]) == (422, "not_supported_yet"), answer.text
    assert pointer in pointers(answer)


@pytest.mark.parametrize(("change", "pointer"), WRONG)
async def test_what_is_wrong_is_named(sandbox: Site, change: dict[str, Any], pointer: str) -> None:
    for method, path in (("PUT", "/v1/rules/r"), ("POST", "/v1/rules/check")):
        answer = await sandbox.call(method, path, json=stalled(30, **change))
        assert answer.status_code == 422, answer.text
        assert answer.json()["code"] != "not_supported_yet"
        assert pointer in pointers(answer), answer.text
    assert (await sandbox.call("GET", "/v1/rules/r")).status_code == 404


async def test_checking_keeps_nothing(sandbox: Site) -> None:
    checked = await sandbox.ok("POST", "/v1/rules/check", json=stalled())
    assert checked["valid"] is True
    assert checked["definition"]["severity"] == "warning"
    assert (await sandbox.ok("GET", "/v1/rules"))["items"] == []


async def test_versions_follow_if_match(sandbox: Site) -> None:
    made = await sandbox.call("PUT", "/v1/rules/r", json=stalled(30))
    assert (made.status_code, made.json()["version"]) == (201, 1)
    assert (await sandbox.call("PUT", "/v1/rules/r", json=stalled(20))).status_code == 428
    stale = {"If-Match": '"something"'}
    assert (
        await sandbox.call("PUT", "/v1/rules/r", json=stalled(20), headers=stale)
    ).status_code == 412
    current = {"If-Match": made.headers["etag"]}
    changed = await sandbox.call("PUT", "/v1/rules/r", json=stalled(20), headers=current)
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    current = {"If-Match": changed.headers["etag"]}
    same = await sandbox.call("PUT", "/v1/rules/r", json=stalled(20), headers=current)
    assert (same.status_code, same.json()["version"]) == (200, 2)
    versions = (await sandbox.ok("GET", "/v1/rules/r/versions"))["items"]
    assert [item["version"] for item in versions] == [2, 1]
    assert [item["clock"]["limit"] for item in versions] == ["P20D", "P30D"]


async def test_a_longer_limit_ends_what_the_shorter_one_raised(sandbox: Site) -> None:
    await sandbox.say(created("D", 0))
    made = await sandbox.call("PUT", "/v1/rules/r", json=stalled(10))
    await sandbox.clock(12)
    assert [a["state"] for a in await sandbox.alerts()] == ["firing"]
    current = {"If-Match": made.headers["etag"]}
    await sandbox.rule("r", stalled(30), **current)
    await sandbox.settled()
    (alert,) = await sandbox.alerts()
    assert (alert["resolution"], alert["rule_version"]) == ("superseded", 1)
    await sandbox.clock(31)
    assert [(a["rule_version"], a["state"]) for a in await sandbox.alerts(state="firing")] == [
        (2, "firing")
    ]


@pytest.mark.parametrize("how", ["deleted", "off"])
async def test_a_rule_that_ends_takes_its_open_alerts_with_it(sandbox: Site, how: str) -> None:
    await sandbox.say(created("D", 0))
    made = await sandbox.call("PUT", "/v1/rules/r", json=stalled(10))
    await sandbox.clock(12)
    if how == "deleted":
        assert (await sandbox.call("DELETE", "/v1/rules/r")).status_code == 204
        assert (await sandbox.call("GET", "/v1/rules/r")).status_code == 404
        assert (await sandbox.call("DELETE", "/v1/rules/r")).status_code == 404
    else:
        await sandbox.rule("r", stalled(10, mode="off"), **{"If-Match": made.headers["etag"]})
    await sandbox.settled()
    (alert,) = await sandbox.alerts()
    assert (alert["state"], alert["resolution"]) == ("resolved", "superseded")


async def test_an_expression_that_fails_is_shown_and_fires_nothing(sandbox: Site) -> None:
    await sandbox.say(created("D", 0))
    await sandbox.rule("r", stalled(10, scope="deal.attributes.on_hold == false"))
    await sandbox.clock(12)
    assert await sandbox.alerts() == []
    status = (await sandbox.ok("GET", "/v1/rules/r"))["status"]
    assert status["errors"] >= 1
    assert status["last_error"]["subject_id"] == "D"
    assert "on_hold" in status["last_error"]["detail"]


@pytest.mark.parametrize(
    ("field", "source", "why"),
    [("scope", "lead.status == 'open'", "lead"), ("severity", "loud", "severity")],
)
async def test_a_rule_that_no_longer_compiles_is_shown_as_such(
    sandbox: Site, field: str, source: str, why: str
) -> None:
    """As after an upgrade: an earlier release took it."""
    status = (await sandbox.rule("r", stalled()))["status"]
    assert (status["compiled"], status["compile_error"]) == (True, None)
    await sandbox.hand.execute(
        """UPDATE alerts.rules SET rule_id = 'old',
            definition = (definition::jsonb || jsonb_build_object($2::text, $3::text))::json
        WHERE tenant_id = $1""",
        sandbox.tenant, field, source,
    )  # fmt: skip
    status = (await sandbox.ok("GET", "/v1/rules/old"))["status"]
    assert status["compiled"] is False
    assert why in status["compile_error"]


async def test_lists_have_pages(sandbox: Site) -> None:
    for name in ("a", "b", "c"):
        await sandbox.rule(name, stalled())
    first = await sandbox.ok("GET", "/v1/rules", params={"limit": 2})
    rest = await sandbox.ok("GET", "/v1/rules", params={"limit": 2, "cursor": first["next_cursor"]})
    assert [rule["id"] for rule in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert (first["has_more"], rest["has_more"]) == (True, False)


async def test_scopes_and_tenants_are_walls(running: Sites) -> None:
    mine, other = await running.new(), await running.new()
    await mine.rule("r", stalled())
    assert (await other.call("GET", "/v1/rules/r")).status_code == 404
    assert (await other.call("DELETE", "/v1/rules/r")).status_code == 404
    reader = await running.new(scopes=("rules:read",))
    assert (await reader.call("PUT", "/v1/rules/r", json=stalled())).status_code == 403
    assert (await reader.call("GET", "/v1/alerts")).status_code == 403
    assert (await reader.call("POST", "/v1/rules/check", json=stalled())).status_code == 200
