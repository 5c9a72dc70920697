"""Versions that no longer judge, and rules that are deleted, cost a judgement nothing."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from libs.common.db.database import Database, driver
from services.alerts.adapters import rules, subjects
from tests.integration.alerts.rig import Site, stalled

pytestmark = pytest.mark.postgres
TENANT = "t-many"
_DELETED, _VERSIONS = 2_000, 500
_RULES = """INSERT INTO alerts.rules (tenant_id, rule_id, version, definition, mode, effective_from,
        changed_at, published_at, published_by, latest)
    SELECT $1, rule_id, version, '{}', mode, now(), now(), now(), 'test', latest FROM (
        SELECT 'gone-' || n AS rule_id, 1 AS version, 'live' AS mode, false AS latest
            FROM generate_series(1, $2::int) AS n
        UNION ALL SELECT 'gone-' || n, 2, 'deleted', true FROM generate_series(1, $2::int) AS n
        UNION ALL SELECT 'edited', n, 'live', n = $3::int
            FROM generate_series(1, $3::int) AS n) v"""
_ALERT = """INSERT INTO alerts.alerts (tenant_id, alert_id, rule_id, rule_version, rule_name,
        subject_kind, subject_id, episode, start_source, start_event_id, turn, clock_start, state,
        severity, started_at, detected_at, late, labels, evidence, corrections, record_version)
    VALUES ($1, gen_random_uuid(), 'gone-7', 1, 'r', 'deal', 'D', 1, '/crm', 'e', 0, now(),
        'firing', 'warning', now(), now(), false, '{}', '{}', '[]', 1)"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    hand = await asyncpg.connect(database_url)
    await hand.execute("TRUNCATE alerts.rules, alerts.alerts")
    await hand.execute(_RULES, TENANT, _DELETED, _VERSIONS)
    await hand.execute("ANALYZE alerts.rules")
    await hand.close()
    database = Database(database_url, "headway_alerts_worker", pool_size=1)
    yield database
    await database.close()


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node that reads `alerts.rules`."""
    if plan.get("Relation Name") == "rules":
        yield plan
    for part in plan.get("Plans", ()):
        yield from scans(part)


async def rows_read(conn: Any, query: str, *values: Any) -> float:
    """How many rows of `alerts.rules` a query looks at."""
    explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"
    (found,) = json.loads(await conn.fetchval(explained, *values))
    return sum(map(_rows, scans(found["Plan"])))


def _rows(node: dict[str, Any]) -> float:
    passed: float = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return passed * float(node["Actual Loops"])


async def test_a_judgement_reads_the_rules_that_judge(database: Database) -> None:
    async with database.across_tenants() as tx:
        conn = await driver(tx)
        assert [(r.rule_id, r.version) for r in await rules.judging(conn, TENANT, ["D"])] == [
            ("edited", _VERSIONS)
        ]
        assert await rows_read(conn, rules.JUDGING, TENANT, ["D"]) <= 10


async def test_a_deleted_rule_is_found_by_its_open_alert(database: Database) -> None:
    async with database.across_tenants() as tx:
        conn = await driver(tx)
        await conn.execute(_ALERT, TENANT)
        found = [(r.rule_id, r.mode) for r in await rules.judging(conn, TENANT, ["D"])]
        assert found == [("edited", "live"), ("gone-7", "deleted")]
        assert await rules.judging(conn, TENANT, ["E"]) == await rules.judging(conn, TENANT, [])
        assert await rows_read(conn, rules.JUDGING, TENANT, ["D"]) <= 20


async def test_turns_look_at_tenants_not_at_their_rules(database: Database) -> None:
    async with database.across_tenants() as tx:
        conn = await driver(tx)
        assert await rows_read(conn, subjects.PENDING, [], 500) <= 10


async def test_one_version_of_a_rule_is_the_latest(sandbox: Site) -> None:
    """Through edits, deletion and another beginning."""
    first = await sandbox.call("PUT", "/v1/rules/r", json=stalled(30))
    match = {"If-Match": first.headers["etag"]}
    await sandbox.ok("PUT", "/v1/rules/r", json=stalled(20), headers=match)
    await sandbox.ok("DELETE", "/v1/rules/r")
    assert await _latest(sandbox) == [(3, "deleted")]
    await sandbox.rule("r", stalled(10))
    assert await _latest(sandbox) == [(4, "live")]


async def _latest(site: Site) -> list[tuple[int, str]]:
    found = await site.hand.fetch(
        "SELECT version, mode FROM alerts.rules WHERE tenant_id = $1 AND latest", site.tenant
    )
    return [(row[0], row[1]) for row in found]
