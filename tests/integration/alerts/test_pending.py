"""How many subjects wait to be judged and for how long, as the gauges tell it."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from libs.common.clock import SystemClock
from libs.common.db.database import Database, driver
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import UnknownTopic
from libs.common.expr.cel import Cel
from services.alerts.adapters import waiting
from services.alerts.adapters.work import PostgresWork
from services.alerts.app.compiling import Compiler
from services.alerts.app.isolating import Isolating
from services.alerts.app.moments import Moments
from services.alerts.app.scheduling import Scheduler

pytestmark = pytest.mark.postgres
MINUTE = timedelta(minutes=1)
_TENANT = "INSERT INTO ingest.tenants VALUES ($1, $1, 'UTC', 'EUR', 1, 'monday', $2, now())"
_WAIT = """INSERT INTO alerts.subjects (tenant_id, kind, subject_id, pending_at, brought)
    SELECT $1, 'deal', 'D-' || n, now() - $3::interval, $4 FROM generate_series(1, $2::int) AS n"""
_REST = """INSERT INTO alerts.subjects (tenant_id, kind, subject_id)
    SELECT 'rests', 'deal', 'D-' || n FROM generate_series(1, $1::int) AS n"""


@pytest.fixture
async def hand(database_url: str) -> AsyncIterator[Any]:
    hand = await asyncpg.connect(database_url)
    await hand.execute("TRUNCATE alerts.subjects")
    yield hand
    await hand.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, "headway_alerts_worker", pool_size=2)
    yield database
    await database.close()


async def wait(
    hand: Any, count: int, since: timedelta, *, sandbox: bool = False, held: bool = False
) -> None:
    """So many deals of a new tenant wait since then."""
    name = f"t-{secrets.token_hex(4)}"
    await hand.execute(_TENANT, name, sandbox)
    await hand.execute(_WAIT, name, count, since, held)


async def shown(database: Database) -> tuple[float, float]:
    """What a process tells, the log being away since its start: how many, and the age of one."""
    clock = SystemClock()
    judge = Isolating(Compiler(Cel()), lambda: "")
    scheduler = Scheduler(database, PostgresWork, judge, MemoryLog(clock), Moments(clock))
    with pytest.raises(UnknownTopic):
        await scheduler.look()
    count = REGISTRY.get_sample_value("headway_alerts_pending_subjects")
    age = REGISTRY.get_sample_value("headway_alerts_pending_oldest_age_seconds")
    assert count is not None
    assert age is not None
    return count, age


async def test_the_oldest_of_all_tenants_tells_the_age(hand: Any, database: Database) -> None:
    await wait(hand, 3, 2 * MINUTE)
    await wait(hand, 4, 9 * MINUTE)
    count, age = await shown(database)
    assert count == 7
    assert 9 * 60 <= age < 10 * 60


async def test_it_is_0_once_nothing_waits(hand: Any, database: Database) -> None:
    await wait(hand, 3, MINUTE)
    assert (await shown(database))[0] == 3
    await hand.execute("UPDATE alerts.subjects SET pending_at = NULL")
    assert await shown(database) == (0, 0)


async def test_whoever_waits_for_something_else_is_left_out(hand: Any, database: Database) -> None:
    """For an import's end, for a sandbox's clock, for the end of a pause."""
    await wait(hand, 1, 9 * MINUTE, held=True)
    await wait(hand, 1, 9 * MINUTE, sandbox=True)
    await wait(hand, 1, -5 * MINUTE)
    assert await shown(database) == (0, 0)


@pytest.mark.parametrize("filled", [False, True])
async def test_only_what_waits_is_read(hand: Any, database: Database, filled: bool) -> None:
    await hand.execute(_REST, 5_000 if filled else 1)
    await wait(hand, 3, MINUTE)
    async with database.across_tenants() as tx:
        conn = await driver(tx)
        await conn.execute("SET LOCAL enable_seqscan = off")
        found = await conn.fetch(f"EXPLAIN {waiting.WAITING}", [])
    plan = "\n".join(row[0] for row in found)
    assert "subjects_waiting_of_tenant" in plan, plan
    assert "Seq Scan on subjects" not in plan, plan
