"""What goes wrong with one deal or one rule is told there, and is nobody else's trouble."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.alerts.app import judging
from services.alerts.domain.rule import Rule
from services.alerts.domain.texts import Failed, texts
from services.alerts.domain.verdicts import Violation
from tests.integration.alerts.rig import Said, Site, Sites, created, day, stalled, told

pytestmark = pytest.mark.postgres
BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)


async def test_a_clock_that_was_due_before_all_time_is_due_at_its_beginning(sandbox: Site) -> None:
    clock = {"start": "created_at", "limit": "PT0S", "offset": "-P36525D"}
    await sandbox.rule("r", stalled(clock=clock))
    data = {"deal_id": "D", "pipeline_id": "b2b", "stage_id": "lead"}
    await sandbox.say(Said("deal.created", BEGINNING, data))
    await sandbox.clock(1)
    (alert,) = await sandbox.alerts()
    assert alert["evidence"]["clock"]["due_at"] == "1900-01-01T00:00:00Z"
    assert [record[2] for record in await sandbox.records()] == ["alert.fired"]


async def test_one_deals_trouble_is_counted_on_its_rule_and_stops_no_other(
    running: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    def troubled(rule: Rule, found: Violation, failed: Failed) -> Any:
        if found.state["name"] == "bad":
            raise RuntimeError("nobody expected this")
        return texts(rule, found, failed)

    monkeypatch.setattr(judging, "texts", troubled)
    bad, good = await running.new(), await running.new()
    for site in (bad, good):
        await site.rule("r", stalled(10))
    await bad.say(created("D-1", 0, name="bad"), created("D-2", 0, name="fine"))
    await good.say(created("D-1", 0, name="fine"))
    for site in (bad, good):
        await site.clock(20)
    assert [alert["subject"]["id"] for alert in await bad.alerts()] == ["D-2"]
    assert len(await good.alerts()) == 1
    shown = await bad.ok("GET", "/v1/rules/r")
    assert shown["status"]["errors"] >= 1
    assert shown["status"]["last_error"]["subject_id"] == "D-1"


async def test_an_instant_without_an_answer_is_counted_and_keeps_no_alert_alive(
    sandbox: Site,
) -> None:
    clock = {"start": "created_at", "limit": "P10D"}
    labels = {"owner": "deal.owner_id + '!'"}
    await sandbox.rule("r", stalled(clock=clock, scope="deal.amount > 100.0", labels=labels))
    await sandbox.say(created("D", 0, amount="200.00"))
    await sandbox.clock(11)
    (alert,) = await sandbox.alerts()
    assert (alert["state"], alert["labels"]) == ("firing", {})
    status = (await sandbox.ok("GET", "/v1/rules/r"))["status"]
    assert "label owner" in status["last_error"]["detail"]
    unknown = told("deal.updated", 12, "D", changes={"amount": None})
    await sandbox.say(unknown, told("deal.deleted", 20, "D"))
    await sandbox.clock(30)
    (alert,) = await sandbox.alerts()
    assert (alert["resolution"], alert["resolved_at"]) == ("cleared", z(20))
    assert (await sandbox.ok("GET", "/v1/rules/r"))["status"]["errors"] > status["errors"]


def z(days: float) -> str:
    return day(days).isoformat().replace("+00:00", "Z")


async def test_a_long_summary_is_cut_and_its_record_told(sandbox: Site) -> None:
    await sandbox.rule("r", stalled(10, summary="{{deal.attributes}}" * 20))
    await sandbox.say(created("D", 0, attributes={"a": "x" * 60_000}))
    await sandbox.clock(20)
    (alert,) = await sandbox.alerts()
    assert len(alert["summary"]) == 2_000
    assert [record[2] for record in await sandbox.records()] == ["alert.fired"]


async def test_a_lease_ends_with_time(sandbox: Site) -> None:
    await sandbox.rule("r", stalled(10))
    await sandbox.say(created("D", 0))
    await sandbox.ok("POST", "/v1/sandbox/clock", json={"now": "2199-12-31T23:59:59Z"})
    await sandbox.settled()
    (alert,) = await sandbox.alerts()
    taken = await sandbox.ok("POST", f"/v1/alerts/{alert['id']}/ack", json={"lease": "P30D"})
    assert taken["lease_until"] == "2199-12-31T23:59:59Z"
