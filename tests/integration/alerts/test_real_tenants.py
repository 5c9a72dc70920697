"""Tenants of real time: the watermark's gate, imports and their digest, records of both topics."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from libs.common import metrics
from libs.common.contracts.topics import ALERT_STATE
from services.alerts.adapters.work import PostgresWork
from services.alerts.app.work import digest_of
from tests.integration.alerts.rig import PATIENCE, Said, Site, stalled
from tests.integration.alerts.test_rules_in_flight import gated

pytestmark = pytest.mark.postgres


def made(deal: str, ago: timedelta, stage: str = "lead", **said: Any) -> Said:
    data = {"deal_id": deal, "pipeline_id": "b2b", "stage_id": stage}
    return Said("deal.created", datetime.now(UTC) - ago, data, **said)


def left(deal: str, ago: timedelta, **said: Any) -> Said:
    data = {"deal_id": deal, "stage_id": "offer"}
    return Said("deal.stage_changed", datetime.now(UTC) - ago, data, **said)


def told_of(type_: str, deal: str, ago: timedelta) -> Said:
    return Said(type_, datetime.now(UTC) - ago, {"deal_id": deal})


def soon(**changes: Any) -> dict[str, Any]:
    """Due two seconds after a stage was entered."""
    return stalled(clock={"start": "stage_entered_at", "limit": "PT2S"}, **changes)


async def until(site: Site, count: int, **params: Any) -> list[dict[str, Any]]:
    async with asyncio.timeout(PATIENCE):
        while len(found := await site.alerts(**params)) < count:
            await asyncio.sleep(0.05)
    return found


async def test_an_alert_is_raised_once_its_time_has_come(real: Site) -> None:
    judged = metrics.RULE_EVAL_SECONDS._sum.get()
    await real.rule("soon", soon())
    event = made("D", timedelta())
    await real.say(event)
    (alert,) = await until(real, 1)
    assert datetime.fromisoformat(alert["started_at"]) == event.at + timedelta(seconds=2)
    assert datetime.fromisoformat(alert["detected_at"]) >= event.at + timedelta(seconds=2)
    assert not alert["late"]
    assert metrics.RULE_EVAL_SECONDS._sum.get() > judged
    await real.say(left("D", timedelta()))
    await until(real, 1, state="resolved", subject_id="D")


async def test_what_a_fast_clock_says_counts_once_its_time_has_come(real: Site) -> None:
    """Clocks of integrators run ahead of ours: the funnel tells of such a deal at once, and of
    nothing more when its time comes."""
    await real.rule("soon", soon())
    ahead = made("D", -timedelta(seconds=2))
    end = told_of("deal.won", "D", -timedelta(seconds=5.5))
    await real.say(ahead)
    (alert,) = await until(real, 1)
    assert datetime.fromisoformat(alert["started_at"]) == ahead.at + timedelta(seconds=2)
    await real.say(end)
    (alert,) = await until(real, 1, state="resolved")
    assert datetime.fromisoformat(alert["resolved_at"]) == end.at
    assert end.at <= datetime.now(UTC)


async def test_nothing_fires_while_facts_may_be_on_their_way(real: Site) -> None:
    """An ingest process that holds an older event keeps the watermark, and so the clocks."""
    await real.hand.execute(
        "INSERT INTO ingest.processes VALUES ('p-1', now() - interval '1 hour', now())"
    )
    try:
        await real.rule("soon", soon())
        await real.say(made("D", timedelta()))
        async with asyncio.timeout(PATIENCE):
            while not await real.hand.fetchval(
                "SELECT count(*) FROM alerts.timers WHERE tenant_id = $1 AND due_at < now()",
                real.tenant,
            ):
                await asyncio.sleep(0.05)
        assert await real.alerts() == []
    finally:
        await real.hand.execute("DELETE FROM ingest.processes")
    await until(real, 1)


async def test_old_violations_of_a_new_rule_are_late(real: Site) -> None:
    await real.say(made("D", timedelta(days=40)))
    await real.rule("stall", stalled(30))
    (alert,) = await until(real, 1)
    assert alert["late"]
    assert alert["digest_id"] is None


async def started(site: Site) -> UUID:
    id_ = uuid4()
    await site.hand.execute(
        """INSERT INTO ingest.imports (tenant_id, import_id, state, origin, recorded, dry_run,
            encoding, path, bytes, actor, started_at)
        VALUES ($1, $2, 'running', 'backfill', 'now', false, 'identity', '-', 0, 'test', now())""",
        site.tenant, id_,
    )  # fmt: skip
    return id_


async def ended(site: Site, id_: UUID) -> None:
    await site.hand.execute(
        "UPDATE ingest.imports SET state = 'done', finished_at = now() WHERE import_id = $1", id_
    )


async def test_an_import_is_judged_at_its_end(real: Site) -> None:
    """What is over raises nothing; what stands is raised late, under one digest."""
    await real.rule("stall", stalled(30))
    id_ = await started(real)
    brought = [made(f"D-{n}", timedelta(days=40 + n), origin="backfill") for n in range(3)]
    over = [
        made("over", timedelta(days=90), origin="backfill"),
        left("over", timedelta(days=2), origin="backfill"),
    ]
    await real.say(*brought, *over)
    async with asyncio.timeout(PATIENCE):
        while await real.hand.fetchval(
            "SELECT count(*) FROM alerts.subjects WHERE tenant_id = $1 AND brought", real.tenant
        ) < 4:  # fmt: skip
            await asyncio.sleep(0.05)
    live = made("live", timedelta(days=31))
    await real.say(live)
    await until(real, 1)
    assert [alert["subject"]["id"] for alert in await real.alerts()] == ["live"]
    await ended(real, id_)
    found = {alert["subject"]["id"]: alert for alert in await until(real, 4)}
    assert found.keys() == {"live", "D-0", "D-1", "D-2"}
    digests = {found[event.data["deal_id"]]["digest_id"] for event in brought}
    assert len(digests) == 1
    assert None not in digests
    assert all(found[event.data["deal_id"]]["late"] for event in brought)
    assert found["live"]["digest_id"] is None


async def _held(site: Site, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while await site.hand.fetchval(
            "SELECT count(*) FROM alerts.subjects WHERE tenant_id = $1 AND brought", site.tenant
        ) < count:  # fmt: skip
            await asyncio.sleep(0.05)


async def _folded(site: Site, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len((await site.ok("GET", "/v1/deals", params={"limit": 500}))["items"]) < count:
            await asyncio.sleep(0.05)


async def test_a_first_rule_waits_for_an_import_under_way(real: Site) -> None:
    """Also for deals that the import does not touch: nobody has kept which ones it did."""
    id_ = await started(real)
    await real.say(
        made("brought", timedelta(days=40), origin="backfill"),
        made("over", timedelta(days=90), origin="backfill"),
        left("over", timedelta(days=2), origin="backfill"),
        made("untouched", timedelta(days=50)),
    )
    await _folded(real, 3)
    await real.rule("stall", stalled(30))
    await _held(real, 3)
    assert await real.alerts() == []
    await ended(real, id_)
    found = {alert["subject"]["id"]: alert for alert in await until(real, 2)}
    assert found.keys() == {"brought", "untouched"}
    assert all(alert["late"] and alert["digest_id"] for alert in found.values())
    assert len({alert["digest_id"] for alert in found.values()}) == 1
    await real.say(made("next", timedelta(days=60)))
    (alert,) = [one for one in await until(real, 3) if one["subject"]["id"] == "next"]
    assert alert["digest_id"] is None


async def test_each_import_has_its_digest(real: Site) -> None:
    """Also if the second begins before what the first brought is judged, or even consumed."""
    await real.rule("stall", stalled(30))
    await real.hand.execute(
        "INSERT INTO ingest.processes VALUES ('p-1', now() - interval '1 hour', now())"
    )
    try:
        first = await started(real)
        early = [_known_now("A"), _known_now("B")]
        await ended(real, first)
        second = await started(real)
        await real.say(*early, _known_now("C"))
        await _held(real, 3)
        await ended(real, second)
    finally:
        await real.hand.execute("DELETE FROM ingest.processes")
    digest = {one["subject"]["id"]: one["digest_id"] for one in await until(real, 3)}
    assert digest["A"] == digest["B"] != digest["C"]
    assert None not in digest.values()


def _known_now(deal: str) -> Said:
    return made(deal, timedelta(days=40), origin="backfill", known=datetime.now(UTC))


@pytest.mark.parametrize("known", [None, datetime(2026, 1, 1, tzinfo=UTC)])
async def test_an_import_is_held_though_its_records_are_still_on_their_way(
    real: Site, monkeypatch: pytest.MonkeyPatch, known: datetime | None
) -> None:
    """A deal that waits already is looked at before its imported record reaches us."""
    await real.rule("stall", stalled(30, scope="deal.stage_id == 'offer'"))
    await real.say(made("D", timedelta(days=60)))
    await _judged(real)
    id_, records = await started(real), gated(monkeypatch, PostgresWork, "mark")
    await real.say(left("D", timedelta(days=40), origin="backfill", known=known))
    await asyncio.wait_for(records.reached.wait(), PATIENCE)
    async with asyncio.timeout(PATIENCE):
        while await real.hand.fetchval(
            "SELECT count(*) FROM funnel.events WHERE tenant_id = $1", real.tenant
        ) < 2:  # fmt: skip
            await asyncio.sleep(0.05)
    await real.hand.execute(
        "UPDATE alerts.subjects SET pending_at = now() WHERE tenant_id = $1", real.tenant
    )
    await _held(real, 1)
    assert await real.alerts() == []
    records.open()
    await ended(real, id_)
    (alert,) = await until(real, 1)
    assert alert["late"]
    assert alert["digest_id"] == digest_of(real.tenant, id_)


async def _judged(site: Site) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await site.hand.fetchval(
            "SELECT count(*) FROM alerts.timers WHERE tenant_id = $1", site.tenant
        ):
            await asyncio.sleep(0.05)


async def test_states_are_kept_by_alert(real: Site) -> None:
    await real.rule("stall", stalled(30))
    await real.say(made("D", timedelta(days=40)))
    (alert,) = await until(real, 1)
    await real.say(replace(left("D", timedelta(days=5)), id="away"))
    await until(real, 1, state="resolved")
    async with asyncio.timeout(PATIENCE):
        while len(states := await real.raw(ALERT_STATE)) < 2:
            await asyncio.sleep(0.05)
    assert {record.key for record in states} == {f"{real.tenant}:{alert['id']}".encode()}
    last = orjson.loads(states[-1].value or b"")
    assert (last["alert"]["state"], last["version"]) == ("resolved", 2)
    await real.hand.execute(
        "UPDATE alerts.alerts SET ended_at = now() - interval '31 days' WHERE tenant_id = $1",
        real.tenant,
    )
