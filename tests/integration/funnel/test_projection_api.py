"""`/v1/projection` and its rebuilds, with the workers that carry them out."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common.eventlog.port import LogUnavailable
from tests.integration.funnel.served import PATIENCE, Served, served
from tests.integration.funnel.write_rig import said, stage

pytestmark = pytest.mark.postgres

REBUILDS = "/v1/projection/rebuilds"
STORY = (
    said(1, "deal.created", pipeline_id="p", stage_id="a", amount="5"),
    stage(2, "b"),
    said(3, "deal.created", "e", pipeline_id="p", stage_id="a"),
)


async def told(funnel: Served, tenant: str) -> None:
    await funnel.say(tenant, *STORY)
    await funnel.caught_up(tenant)


async def ended(funnel: Served, who: str, rebuild: Any) -> Any:
    """The rebuild once it is built and what nobody reads any more is gone."""
    async with asyncio.timeout(PATIENCE):
        while True:
            state = await funnel.get(who, f"{REBUILDS}/{rebuild['rebuild_id']}")
            if all(part["finished_at"] for part in state["tenants"]):
                return state
            await asyncio.sleep(0.02)


async def asked(funnel: Served, who: str, **body: Any) -> Any:
    answer = await funnel.call(who, "POST", REBUILDS, json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def spoil(funnel: Served, tenant: str) -> None:
    """Damage a row behind the projection's back."""
    await funnel.hand.execute(
        "UPDATE funnel.deals SET name = 'spoilt' WHERE tenant_id = $1 AND deal_id = 'd'", tenant
    )


async def name_of(funnel: Served, tenant: str) -> str | None:
    name: str | None = await funnel.hand.fetchval(
        """SELECT d.name FROM funnel.deals d JOIN funnel.generations g
            ON g.tenant_id = d.tenant_id AND g.current = d.generation
        WHERE d.tenant_id = $1 AND d.deal_id = 'd'""",
        tenant,
    )
    return name


async def test_what_is_folded_is_said_by_partition(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await told(funnel, tenant)
    state = await funnel.get(tenant, "/v1/projection")
    assert (state["caught_up"], state["lag_records"], state["lag_seconds"]) == (True, 0, 0)
    assert (state["generation"], state["refolds_waiting"], state["imports_running"]) == (1, 0, 0)
    assert [p["partition"] for p in state["partitions"]] == [0, 1, 2]
    assert sum(p["end_offset"] for p in state["partitions"]) == len(STORY)
    assert all(p["next_offset"] == p["end_offset"] for p in state["partitions"])


async def test_what_is_not_read_yet_is_lag(database_url: str) -> None:
    async with served(database_url, working=False) as idle:
        await idle.service.workers[0]._topics(asyncio.Event())  # type: ignore[attr-defined]
        tenant = await idle.tenant()
        await idle.say(tenant, *STORY)
        state = await idle.get(tenant, "/v1/projection")
        assert (state["caught_up"], state["lag_records"]) == (False, len(STORY))


@pytest.mark.parametrize(("said", "caught_up"), [(-3_600, False), (3_600, True)])
async def test_each_process_of_ingest_has_to_have_spoken_since_the_question(
    funnel: Served, said: int, caught_up: bool
) -> None:
    """Before it has, what it spooled for the answer that made somebody ask is not known."""
    tenant = await funnel.tenant()
    await told(funnel, tenant)
    await funnel.hand.execute(
        "INSERT INTO ingest.processes VALUES ('p', NULL, now() + make_interval(secs => $1))", said
    )
    try:
        assert (await funnel.get(tenant, "/v1/projection"))["caught_up"] is caught_up
    finally:
        await funnel.hand.execute("DELETE FROM ingest.processes")


async def test_a_running_import_of_the_own_tenant_is_waited_for(funnel: Served) -> None:
    tenant, other = await funnel.tenant(), await funnel.tenant()
    await told(funnel, tenant)
    started = datetime(2026, 1, 1, tzinfo=UTC)
    await _import(funnel, tenant, started)
    state = await funnel.get(tenant, "/v1/projection")
    assert (state["caught_up"], state["imports_running"]) == (False, 1)
    assert (await funnel.caught_up(other))["imports_running"] == 0


async def _import(funnel: Served, tenant: str, started: datetime) -> None:
    """An import that nobody works on."""
    await funnel.hand.execute(
        """INSERT INTO ingest.imports (tenant_id, import_id, state, origin, recorded, dry_run,
            encoding, path, bytes, actor, started_at)
        VALUES ($1, gen_random_uuid(), 'running', 'backfill', 'now', false, '', '', 0, '', $2)""",
        tenant, started,
    )  # fmt: skip


async def test_the_watermark_moves_and_an_import_holds_that_of_its_tenant(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await told(funnel, tenant)
    first = await _watermark_after(funnel, tenant, None)
    assert await _watermark_after(funnel, tenant, first) > first
    await _import(funnel, tenant, datetime(2026, 1, 1, tzinfo=UTC))
    held = (await funnel.get(tenant, "/v1/projection"))["watermark"]
    assert held == "2026-01-01T00:00:00Z"


async def _watermark_after(funnel: Served, tenant: str, before: str | None) -> str:
    async with asyncio.timeout(PATIENCE):
        while (await funnel.get(tenant, "/v1/projection"))["watermark"] in (None, before):
            await asyncio.sleep(0.02)
    watermark: str = (await funnel.get(tenant, "/v1/projection"))["watermark"]
    return watermark


async def test_a_log_that_is_away_is_a_503(funnel: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = await funnel.tenant()

    async def away(_: str) -> str:
        raise LogUnavailable("away")

    monkeypatch.setattr(funnel.log, "topic_id", away)
    answer = await funnel.call(tenant, "GET", "/v1/projection")
    assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")
    assert answer.headers["retry-after"]


async def test_an_equal_rebuild_switches_by_itself(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await told(funnel, tenant)
    asked_for = await asked(funnel, tenant)
    assert (asked_for["state"], asked_for["accept"]) == ("building", False)
    done = await ended(funnel, tenant, asked_for)
    assert (done["state"], done["total"], done["done"], done["differing"]) == ("switched", 2, 2, 0)
    assert (await funnel.get(tenant, "/v1/projection"))["generation"] == 2
    left = await funnel.hand.fetchval(
        "SELECT count(*) FROM funnel.deals WHERE tenant_id = $1 AND generation <> 2", tenant
    )
    assert left == 0


async def test_differences_are_listed_and_need_to_be_accepted(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await told(funnel, tenant)
    await spoil(funnel, tenant)
    done = await ended(funnel, tenant, await asked(funnel, tenant, tenant=tenant))
    assert (done["state"], done["differing"]) == ("differs", 1)
    (difference,) = done["differences"]
    assert (difference["tenant_id"], difference["deal_id"]) == (tenant, "d")
    assert difference["before"] != difference["after"]
    assert await name_of(funnel, tenant) == "spoilt"
    accepted = await ended(funnel, tenant, await asked(funnel, tenant, accept=True))
    assert (accepted["state"], accepted["differing"]) == ("switched", 1)
    assert await name_of(funnel, tenant) is None


async def test_an_operator_rebuilds_one_tenant_or_all(funnel: Served) -> None:
    first, second, operator = await funnel.tenant(), await funnel.tenant(), await funnel.operator()
    for tenant in (first, second):
        await told(funnel, tenant)
    one = await ended(funnel, operator, await asked(funnel, operator, tenant=first))
    assert [part["tenant_id"] for part in one["tenants"]] == [first]
    both = await ended(funnel, operator, await asked(funnel, operator))
    assert {first, second} <= {part["tenant_id"] for part in both["tenants"]}
    assert both["state"] == "switched"


async def test_a_second_rebuild_waits_for_the_first(database_url: str) -> None:
    async with served(database_url, working=False) as idle:
        tenant = await idle.tenant()
        await asked(idle, tenant)
        answer = await idle.call(tenant, "POST", REBUILDS, json={})
        assert (answer.status_code, answer.json()["code"]) == (409, "rebuild_running")
        assert tenant in answer.json()["detail"]
        await idle.hand.execute("UPDATE funnel.rebuilds SET finished_at = now()")


@pytest.mark.parametrize("who", ["tenant", "operator"])
async def test_a_rebuild_asked_for_again_under_its_key_is_the_same_one(
    database_url: str, who: str
) -> None:
    async with served(database_url, working=False) as idle:
        tenant = await idle.tenant()
        caller, body = tenant if who == "tenant" else await idle.operator(), {"tenant": tenant}
        key = {"headers": {"Idempotency-Key": f"rebuild {tenant}"}}
        first, again = [
            await idle.call(caller, "POST", REBUILDS, json=body, **key) for _ in range(2)
        ]
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.content == again.content
        other = await idle.call(caller, "POST", REBUILDS, json=body | {"accept": True}, **key)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        rows = "SELECT count(*) FROM funnel.rebuilds WHERE tenant_id = $1"
        assert await idle.hand.fetchval(rows, tenant) == 1
        await idle.hand.execute("UPDATE funnel.rebuilds SET finished_at = now()")


async def test_walls_and_scopes_of_rebuilds(funnel: Served) -> None:
    tenant, other = await funnel.tenant(), await funnel.tenant()
    reader = await funnel.tenant("deals:read")
    made = await asked(funnel, tenant)
    path = f"{REBUILDS}/{made['rebuild_id']}"
    for who, missing in ((other, path), (tenant, f"{REBUILDS}/none"), (tenant, f"{REBUILDS}/%00")):
        answer = await funnel.call(who, "GET", missing)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await funnel.call(reader, "POST", REBUILDS, json={})).status_code == 403
    foreign = await funnel.call(other, "POST", REBUILDS, json={"tenant": tenant})
    assert foreign.status_code == 404
    nobody = await funnel.call(await funnel.operator(), "POST", REBUILDS, json={"tenant": "nobody"})
    assert nobody.status_code == 404
    await ended(funnel, tenant, made)


@pytest.mark.parametrize("body", [{"accept": 1}, {"tenant": ""}, {"tenants": []}, []])
async def test_bad_commands_are_refused(funnel: Served, body: Any) -> None:
    tenant = await funnel.tenant()
    assert (await funnel.call(tenant, "POST", REBUILDS, json=body)).status_code == 422


async def test_an_unknown_id_is_not_there(funnel: Served) -> None:
    tenant = await funnel.tenant()
    unknown = f"{REBUILDS}/01a210b0-3c87-7eb3-a488-6f42aab47393"
    assert (await funnel.call(tenant, "GET", unknown)).status_code == 404


async def test_a_working_process_is_ready(funnel: Served) -> None:
    assert {
        name: await check() for name, check in funnel.service.readiness.items()
    } == dict.fromkeys(funnel.service.readiness)
