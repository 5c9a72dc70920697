"""What the scheduler takes, changed or due: an import's is apart, and nobody hides another's."""

import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from libs.common import metrics
from libs.common.db.database import Database, driver
from services.alerts.adapters import subjects
from services.alerts.app.scheduling import CHUNK, _show
from services.alerts.domain.reconcile import Moment

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
_RULE = """INSERT INTO alerts.rules (tenant_id, rule_id, version, definition, mode, effective_from,
    changed_at, published_at, published_by) VALUES ($1, 'r', 1, '{}', 'live', $2, $2, $2, 'test')"""
_TIMERS = """WITH s AS (
        INSERT INTO alerts.subjects (tenant_id, kind, subject_id, pending_at, brought)
        SELECT $1, 'deal', 'D-' || n, CASE WHEN $3 THEN $4::timestamptz END, $3
        FROM generate_series(1, $2::int) AS n RETURNING subject_id)
    INSERT INTO alerts.timers (tenant_id, kind, subject_id, rule_id, due_at, judged_to)
    SELECT $1, 'deal', subject_id, 'r', $4, $4 FROM s"""

_FREE = """WITH s AS (UPDATE alerts.subjects SET brought = false WHERE subject_id = 'D-600')
    UPDATE alerts.timers SET due_at = due_at + interval '1 day' WHERE subject_id = 'D-600'"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    hand = await asyncpg.connect(database_url)
    await hand.execute("TRUNCATE alerts.rules, alerts.subjects, alerts.timers")
    await hand.close()
    database = Database(database_url, "headway_alerts_worker", pool_size=2)
    yield database
    await database.close()


async def tenant(database: Database, timers: int, ago: timedelta, *, held: bool = False) -> str:
    name = f"t-{secrets.token_hex(4)}"
    async with database.across_tenants() as tx:
        conn = await driver(tx)
        await conn.execute(_RULE, name, NOW)
        await conn.execute(_TIMERS, name, timers, held, NOW - ago)
    return name


async def due(database: Database, sandboxes: Sequence[str] = ()) -> Sequence[tuple[str, str]]:
    async with database.across_tenants() as tx:
        return await subjects.due(await driver(tx), sandboxes, NOW, CHUNK)


async def oldest(database: Database) -> datetime | None:
    async with database.across_tenants() as tx:
        return await subjects.oldest_timer(await driver(tx), [])


async def test_what_an_import_holds_hides_nobody_elses_clock(database: Database) -> None:
    await tenant(database, 600, timedelta(days=9), held=True)
    other = await tenant(database, 2, timedelta(minutes=1))
    assert await due(database) == [(other, "D-1"), (other, "D-2")]
    assert await oldest(database) == NOW - timedelta(minutes=1)


async def test_what_an_import_holds_hides_no_clock_of_its_own_tenant(database: Database) -> None:
    name = await tenant(database, 600, timedelta(days=9), held=True)
    async with database.across_tenants() as tx:
        await (await driver(tx)).execute(_FREE)
    assert await due(database) == [(name, "D-600")]


async def test_tenants_take_turns(database: Database) -> None:
    many = await tenant(database, 2 * CHUNK, timedelta(days=9))
    other = await tenant(database, 3, timedelta(minutes=1))
    taken = await due(database)
    assert len(taken) == CHUNK
    assert [name for name, _ in taken[:6]] == [many, other] * 3
    assert len(await due(database, [many])) == 3


@pytest.mark.parametrize("filled", [False, True])
async def test_due_timers_are_reached_by_their_tenant(database: Database, filled: bool) -> None:
    if filled:
        await tenant(database, 600, timedelta(days=9), held=True)
        await tenant(database, 600, timedelta(days=9))
    async with database.across_tenants() as tx:
        conn = await driver(tx)
        found = await conn.fetch(f"EXPLAIN {subjects.DUE}", [], CHUNK, NOW)
    plan = "\n".join(row[0] for row in found)
    assert "timers_due_of_tenant" in plan, plan
    assert "Seq Scan on timers" not in plan, plan


_FACTS = """UPDATE alerts.subjects SET pending_at = $2, brought = false
    WHERE tenant_id = $1 AND subject_id IN ('D-1', 'D-2')"""


@pytest.mark.parametrize("filled", [False, True])
async def test_what_an_import_holds_is_not_read_to_find_what_waits(
    database: Database, filled: bool
) -> None:
    await tenant(database, 5_000 if filled else 1, timedelta(days=9), held=True)
    other = await tenant(database, 3, timedelta(minutes=1))
    async with database.across_tenants() as tx:
        conn = await driver(tx)
        await conn.execute(_FACTS, other, NOW)
        assert await subjects.pending(conn, [], CHUNK) == [(other, "D-1"), (other, "D-2")]
        await conn.execute("SET LOCAL enable_seqscan = off")
        found = await conn.fetch(f"EXPLAIN {subjects.PENDING}", [], CHUNK)
    plan = "\n".join(row[0] for row in found)
    assert "subjects_waiting_of_tenant" in plan, plan
    assert "Seq Scan on subjects" not in plan, plan


_CHANGED = """UPDATE alerts.subjects
    SET pending_at = $2::timestamptz - interval '1 minute' * length(subject_id)
    WHERE tenant_id = $1"""


async def changed(conn: Any, limit: int = CHUNK) -> Sequence[tuple[str, str]]:
    return await subjects.pending(conn, [], limit)


async def test_whose_deals_have_changed_take_turns_too(database: Database) -> None:
    many = await tenant(database, 3 * CHUNK, timedelta())
    other = await tenant(database, 3, timedelta())
    async with database.across_tenants() as tx:
        conn = await driver(tx)
        await conn.execute(_CHANGED, many, NOW - timedelta(days=1))
        await conn.execute(_CHANGED, other, NOW)
        taken = await changed(conn)
    assert len(taken) == len(set(taken)) == CHUNK
    assert [name for name, _ in taken[:6]] == [many, other] * 3


async def test_another_process_takes_the_next_ones(database: Database) -> None:
    name = await tenant(database, 2 * CHUNK, timedelta())
    async with database.across_tenants() as tx:
        await (await driver(tx)).execute(_CHANGED, name, NOW)
    async with database.across_tenants() as one, database.across_tenants() as two:
        first, second = await changed(await driver(one)), await changed(await driver(two))
    assert len(first) == len(second) == CHUNK
    assert not set(first) & set(second)


@pytest.mark.parametrize(("ago", "late"), [(14, 0), (16, 1)])
def test_late_is_a_clock_that_waits_though_facts_are_complete(ago: int, late: int) -> None:
    _show(Moment(NOW, NOW, NOW), NOW - timedelta(minutes=ago))
    assert metrics.ALERTS_DATA_LATE._value.get() == late
