"""Transactions, cancellations and lost connections against a real PostgreSQL."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from libs.common.db.database import Database
from libs.common.db.errors import DatabaseUnavailable, is_data_error, is_transient, sqlstate

pytestmark = pytest.mark.postgres

ROLE = "headway_ingest_api"
INSERT = text("INSERT INTO ingest.tenants VALUES (:t, :t, 'UTC', 'EUR', 1, 'monday', false, now())")
TENANTS = text("SELECT tenant_id FROM ingest.tenants, pg_sleep(:pause)")
CANCELS = 1_000


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, ROLE, pool_size=4)
    yield database
    await database.close()


async def add_tenant(db: Database, tenant: str) -> None:
    async with db.for_tenant(tenant) as tx:
        await tx.execute(text("DELETE FROM ingest.tenants"))
        await tx.execute(INSERT, {"t": tenant})


async def test_an_empty_tenant_is_refused(db: Database) -> None:
    with pytest.raises(ValueError, match="needs a tenant"):
        async with db.for_tenant(""):
            pass


async def test_a_failed_block_rolls_back(db: Database) -> None:
    with pytest.raises(RuntimeError, match="half-way"):
        async with db.for_tenant("rolled-back") as tx:
            await tx.execute(INSERT, {"t": "rolled-back"})
            raise RuntimeError("half-way")
    async with db.for_tenant("rolled-back") as tx:
        assert (await tx.execute(TENANTS, {"pause": 0})).all() == []


async def test_the_load_of_pools_is_shown_by_role(database_url: str) -> None:
    def load() -> list[float]:
        names = "in_use_connections", "size_connections", "wait_seconds_count"
        of, labels = REGISTRY.get_sample_value, {"role": ROLE}
        return [of(f"headway_db_pool_{name}", labels) or 0.0 for name in names]

    used, size, waits = load()
    pools = [Database(database_url, ROLE, pool_size=n, pool_timeout=0.01) for n in (1, 2)]
    async with pools[0].for_tenant("a"), pools[1].for_tenant("a"):
        assert load() == [used + 2, size + 3, waits + 2]
        with pytest.raises(DatabaseUnavailable):
            async with pools[0].for_tenant("a"):
                pass
    assert load() == [used, size + 3, waits + 3]
    for pool in (*pools, *pools):
        await pool.close()
    assert load() == [used, size, waits + 3]


async def test_a_tenant_ends_with_its_transaction(database_url: str) -> None:
    one = Database(database_url, ROLE, pool_size=1)
    async with one.for_tenant("a") as tx:
        assert await tx.scalar(text("SELECT current_setting('app.tenant')")) == "a"
    async with one._transaction(snapshot=False) as tx:
        assert await tx.scalar(text("SELECT current_setting('app.tenant', true)")) == ""
    await one.close()


async def test_a_snapshot_keeps_its_instant_and_refuses_writes(db: Database) -> None:
    await add_tenant(db, "s")
    async with db.for_tenant("s", snapshot=True) as reading:
        before = (await reading.execute(TENANTS, {"pause": 0})).all()
        async with db.for_tenant("s") as writing:
            await writing.execute(text("DELETE FROM ingest.tenants"))
        assert (await reading.execute(TENANTS, {"pause": 0})).all() == before == [("s",)]
    with pytest.raises(DBAPIError) as refused:
        async with db.for_tenant("s", snapshot=True) as reading:
            await reading.execute(INSERT, {"t": "s"})
    assert sqlstate(refused.value) == "25006"
    async with db.for_tenant("s") as tx:  # the pool's next user may write again
        await tx.execute(INSERT, {"t": "s"})


async def test_random_cancellations_leave_no_transaction_and_no_foreign_row(db: Database) -> None:
    tenants = [f"cancel-{n}" for n in range(4)]
    for tenant in tenants:
        await add_tenant(db, tenant)
    seen: list[tuple[str, list[str]]] = []
    chance = random.Random(33)

    async def read(tenant: str) -> None:
        async with db.for_tenant(tenant) as tx:
            rows = await tx.execute(TENANTS, {"pause": chance.choice((0, 0.002))})
            seen.append((tenant, list(rows.scalars())))

    async def cancelled_read(tenant: str) -> None:
        task = asyncio.create_task(read(tenant))
        await asyncio.sleep(chance.uniform(0, 1.5 * usual))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    started = time.monotonic()
    await asyncio.gather(*(read(chance.choice(tenants)) for _ in range(8)))
    usual = time.monotonic() - started  # cuts fall anywhere in a read, however slow the machine is
    for _ in range(CANCELS // 8):
        await asyncio.gather(*(cancelled_read(chance.choice(tenants)) for _ in range(8)))
    assert [rows for tenant, rows in seen if rows != [tenant]] == []
    assert 8 < len(seen) < 8 + CANCELS, "some reads must have ended and some been cut"
    assert db.dirty_checkins == 0
    assert await in_transaction(db) == 0
    async with db.across_tenants() as tx:
        assert await tx.scalar(text("SELECT current_setting('app.tenant', true)")) in (None, "")


async def in_transaction(db: Database) -> int:
    statement = text(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = :role"
        " AND datname = current_database() AND state LIKE 'idle in transaction%'"
    )
    async with db.across_tenants() as tx:
        return int(await tx.scalar(statement, {"role": ROLE}) or 0)


async def test_a_connection_in_a_transaction_is_never_handed_on(db: Database) -> None:
    async with db.for_tenant("dirty") as tx:
        raw = await tx.get_raw_connection()
        record, adapted = raw._connection_record, raw.dbapi_connection
        db._assert_clean(adapted, record)
        assert db.dirty_checkins == 1
        assert record.dbapi_connection is None, "the pool has let go of it"


async def test_a_killed_backend_is_unavailability_and_the_next_use_works(
    db: Database, database_url: str
) -> None:
    kill = text("SELECT pg_terminate_backend(:pid)")
    admin = Database(database_url, "postgres")
    with pytest.raises(DatabaseUnavailable) as lost:
        async with db.for_tenant("a") as tx:
            pid = await tx.scalar(text("SELECT pg_backend_pid()"))
            async with admin.across_tenants() as other:
                await other.execute(kill, {"pid": pid})
            await tx.execute(TENANTS, {"pause": 0})
    assert is_transient(lost.value)
    async with db.for_tenant("a") as tx:
        assert await tx.scalar(text("SELECT 1")) == 1
    await admin.close()


async def test_no_server_and_no_free_connection_are_unavailability(database_url: str) -> None:
    nowhere = Database("postgresql://postgres@127.0.0.1:1/headway", ROLE)
    with pytest.raises(DatabaseUnavailable):
        async with nowhere.across_tenants():
            pass
    small = Database(database_url, ROLE, pool_size=1, pool_timeout=0.05)
    async with small.across_tenants():
        with pytest.raises(DatabaseUnavailable):
            async with small.across_tenants():
                pass
    await small.close()
    await nowhere.close()


@pytest.mark.parametrize(
    ("statement", "transient", "data"),
    [
        ("SELECT 1/0", False, True),
        ("SELECT 'x'::int", False, True),
        ("SELECT repeat('x', 3)::varchar(2)::int", False, True),
        ("SELECT nonsense", False, False),
        ("INSERT INTO ingest.tenants (tenant_id) VALUES ('t')", False, True),
        ("SET LOCAL statement_timeout = '1ms'; SELECT pg_sleep(1)", True, False),
        ("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$", True, False),
        ("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$", True, False),
        ("DO $$ BEGIN RAISE SQLSTATE '53100'; END $$", True, False),
        ("DO $$ BEGIN RAISE SQLSTATE '55P03'; END $$", True, False),
    ],
)
async def test_errors_are_told_apart_by_sqlstate(
    db: Database, statement: str, transient: bool, data: bool
) -> None:
    with pytest.raises(DBAPIError) as failed:
        async with db.for_tenant("t") as tx:
            for part in statement.split("; ") if "SET LOCAL" in statement else [statement]:
                await tx.execute(text(part))
    assert (is_transient(failed.value), is_data_error(failed.value)) == (transient, data)


async def test_a_value_that_the_driver_refuses_is_a_data_error(db: Database) -> None:
    for value in ("nul\x00", "\ud800"):
        with pytest.raises((DBAPIError, UnicodeEncodeError)) as failed:
            async with db.for_tenant("t") as tx:
                await tx.execute(text("SELECT CAST(:v AS text)"), {"v": value})
        assert is_data_error(failed.value), failed.value
    with pytest.raises(DBAPIError) as failed:
        async with db.for_tenant("t") as tx:
            await tx.execute(text("SELECT CAST(:v AS bigint)"), {"v": 2**70})
    assert is_data_error(failed.value)
