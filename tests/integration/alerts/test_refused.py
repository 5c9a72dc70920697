"""What PostgreSQL refuses of one deal is that deal's trouble: the others' alerts are raised."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common import metrics
from libs.common.contracts.cloudevents import canonical
from libs.common.contracts.envelope import Envelope, to_headers
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import NewRecord
from tests.integration.alerts.rig import PATIENCE, Said, Site, Sites, created, stalled
from tests.integration.alerts.test_real_tenants import made, until

pytestmark = pytest.mark.postgres
AGO = timedelta(days=40)
AT_ONCE: dict[str, Any] = {"clock": {"start": "created_at", "limit": "PT0S"}}
_CHECK = """ALTER TABLE alerts.alerts
    ADD CONSTRAINT nobodys CHECK (summary <> 'refused') NOT VALID"""
_BACK = """UPDATE alerts.subjects SET pending_at = now()
    WHERE tenant_id = $1 AND pending_at > now()"""


@asynccontextmanager
async def refusing(site: Site) -> AsyncIterator[None]:
    """The database takes no alert with the summary `refused`, for a reason of its own."""
    await site.hand.execute(_CHECK)
    try:
        yield
    finally:
        await site.hand.execute("ALTER TABLE alerts.alerts DROP CONSTRAINT IF EXISTS nobodys")


async def error_of(site: Site, rule_id: str = "r") -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while not (found := (await site.ok("GET", f"/v1/rules/{rule_id}"))["status"])["errors"]:
            await asyncio.sleep(0.05)
    error: dict[str, Any] = found["last_error"]
    return error


def named(deal: str) -> Said:
    event = made(deal, AGO)
    event.data["name"] = deal
    return event


async def test_a_message_with_nul_ends_nobodys_judging(running: Sites) -> None:
    bad, good = [await running.new(sandbox=False) for _ in range(2)]
    await bad.rule("r", stalled(scope=r"deal.name.matches('[\u0000')", **AT_ONCE))
    await good.rule("r", stalled(**AT_ONCE))
    await bad.say(named("D"))
    assert "invalid regular expression" in (await error_of(bad))["detail"]
    await good.say(made("D", AGO))
    assert [one["subject"]["id"] for one in await until(good, 1)] == ["D"]


async def test_a_label_with_nul_is_left_out_and_told(real: Site) -> None:
    await real.rule("r", stalled(labels={"a": r"'x\u0000'", "b": "'y'"}, **AT_ONCE))
    await real.say(made("D", AGO))
    (alert,) = await until(real, 1)
    assert alert["labels"] == {"b": "y"}
    assert (await error_of(real))["detail"].startswith("label a: ")


def _long(characters: int) -> str:
    """Four bytes each, and nothing that could be compressed."""
    some = random.Random(characters)
    return "".join(chr(some.randrange(0x20000, 0x2A000)) for _ in range(characters))


async def test_an_alert_of_the_longest_names_is_raised(real: Site) -> None:
    deal, rule_id, at = _long(200), _long(199), datetime.now(UTC) - AGO
    await real.rule(rule_id, stalled(**AT_ONCE))
    body = canonical({"deal_id": deal, "pipeline_id": "b2b", "stage_id": "lead"})
    envelope = Envelope(
        tenant_id=real.tenant, source=_long(300), id=_long(198), type="deal.created",
        occurred_at=at, recorded_at=datetime.now(UTC), data=body, subject=deal,
    )  # fmt: skip
    key = f"{real.tenant}:{deal}".encode()
    await real.log.append(CRM_EVENTS, [NewRecord(key, body, to_headers(envelope))])
    (alert,) = await until(real, 1)
    assert (alert["subject"]["id"], alert["rule_id"]) == (deal, rule_id)


async def test_what_is_refused_of_one_deal_waits_and_nobody_else_does(running: Sites) -> None:
    bad, good = [await running.new(sandbox=False) for _ in range(2)]
    for site in (bad, good):
        await site.rule("r", stalled(summary="{{deal.name}}", **AT_ONCE))
    aside = metrics.ALERTS_PUT_ASIDE._value.get()
    async with refusing(bad):
        await bad.say(named("refused"), *(named(f"fine-{n}") for n in range(5)))
        await good.say(named("fine"))
        assert {one["summary"] for one in await until(bad, 5)} == {f"fine-{n}" for n in range(5)}
        assert len(await until(good, 1)) == 1
        error = await error_of(bad)
        assert (error["subject_id"], "23514" in error["detail"]) == ("refused", True)
        await good.say(named("later"))
        await until(good, 2)
        assert metrics.ALERTS_PUT_ASIDE._value.get() == aside + 1
    await bad.hand.execute(_BACK, bad.tenant)
    assert len(await until(bad, 6)) == 6


async def test_a_clock_of_a_sandbox_is_settled_around_what_is_refused(sandbox: Site) -> None:
    await sandbox.rule("r", stalled(10, summary="{{deal.name}}"))
    async with refusing(sandbox):
        await sandbox.say(*(created(name, 0, name=name) for name in ("a", "refused", "z")))
        await sandbox.clock(20)
        assert [one["summary"] for one in await sandbox.alerts()] == ["a", "z"]
        assert {record[0] for record in await sandbox.records()} == {"a", "z"}
        assert (await error_of(sandbox))["subject_id"] == "refused"
    await sandbox.hand.execute(_BACK, sandbox.tenant)
    await sandbox.settled()
    assert "refused" in [one["summary"] for one in await sandbox.alerts()]
