"""The migration runner: twice, at once, behind a lock, by a login with few rights."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import make_url, text

from libs.common.db.database import Database
from libs.common.db.migrate import SCHEMAS, SCRIPTS, alembic_config, migrate
from libs.common.db.selfcheck import check_roles
from libs.common.db.urls import with_database

pytestmark = pytest.mark.postgres


@pytest.fixture
async def empty_url(postgres_server_url: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A database without anything in it, for one test."""
    name = f"empty_{os.getpid()}_{abs(hash(request.node.nodeid)):x}"
    await execute(postgres_server_url, f'CREATE DATABASE "{name}"')
    yield with_database(postgres_server_url, name)
    await execute(postgres_server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def catalog(url: str) -> list[object]:
    connection = await asyncpg.connect(url)
    try:
        return [
            await connection.fetch(
                "SELECT relnamespace::regnamespace::text, relname, relacl::text, relkind"
                " FROM pg_class WHERE relnamespace::regnamespace::text = ANY($1) ORDER BY 1, 2",
                [*SCHEMAS, *(f"{s}_api" for s in SCHEMAS)],
            ),
            await connection.fetch("SELECT nspname, nspacl::text FROM pg_namespace ORDER BY 1"),
        ]
    finally:
        await connection.close()


async def test_running_again_changes_nothing(empty_url: str) -> None:
    await migrate(empty_url)
    before = await catalog(empty_url)
    await migrate(empty_url)
    assert await catalog(empty_url) == before


async def test_three_runners_at_once_give_one_result(empty_url: str) -> None:
    await asyncio.gather(*(migrate(empty_url) for _ in range(3)))
    await check_roles(empty_url, "funnel")


async def test_a_lock_held_by_others_is_waited_for_with_retries(empty_url: str) -> None:
    await migrate(empty_url)
    await execute(
        empty_url, "DELETE FROM alerts.alembic_version", "DROP SCHEMA alerts CASCADE",
        "DROP SCHEMA alerts_api CASCADE", "CREATE SCHEMA alerts AUTHORIZATION headway_owner",
        "CREATE SCHEMA alerts_api AUTHORIZATION headway_owner",
        "CREATE TABLE alerts.alembic_version (version_num varchar(32) PRIMARY KEY)",
        "ALTER TABLE alerts.alembic_version OWNER TO headway_owner",
    )  # fmt: skip
    blocker = await asyncpg.connect(empty_url)
    holding = blocker.transaction()
    await holding.start()
    await blocker.execute("LOCK TABLE alerts.alembic_version IN ACCESS EXCLUSIVE MODE")
    runner = asyncio.create_task(migrate(empty_url))
    await refused_once(empty_url, runner)
    assert not runner.done(), "a lock that is held makes the runner wait, not fail"
    await holding.rollback()
    await blocker.close()
    await asyncio.wait_for(runner, 60)
    await check_roles(empty_url, "alerts")


async def refused_once(url: str, runner: "asyncio.Task[None]") -> None:
    """Wait until the runner has queued for the lock, given up after 2 s and queued again."""
    watcher = await asyncpg.connect(url)
    starts: set[object] = set()
    try:
        async with asyncio.timeout(60):
            while len(starts) < 2 and not runner.done():
                starts |= set(
                    await watcher.fetchval(
                        "SELECT array_agg(xact_start) FILTER (WHERE wait_event_type = 'Lock')"
                        " FROM pg_stat_activity WHERE datname = current_database()"
                    )
                    or ()
                )
                await asyncio.sleep(0.05)
    finally:
        await watcher.close()


async def test_a_login_with_few_rights_can_migrate_and_serve(empty_url: str) -> None:
    """The shape of an external PostgreSQL: no superuser, the roles provisioned or not."""
    login = f"few_rights_{os.getpid()}"
    database = make_url(empty_url).database
    await execute(
        empty_url,
        f"CREATE ROLE {login} LOGIN NOSUPERUSER CREATEROLE",
        f'GRANT CREATE ON DATABASE "{database}" TO {login}',
    )
    url = make_url(empty_url).set(username=login).render_as_string(hide_password=False)
    roles = await headway_roles(empty_url)
    await execute(empty_url, *(f"GRANT {role} TO {login} WITH ADMIN OPTION" for role in roles))
    try:
        await migrate(url)
        await execute(empty_url, f"ALTER ROLE {login} NOCREATEROLE")
        await migrate(url)
        await check_roles(url, "ingest")
        db = Database(url, "headway_ingest_api")
        async with db.for_tenant("t") as tx:
            assert await tx.scalar(text("SELECT current_user")) == "headway_ingest_api"
            assert (await tx.execute(text("SELECT * FROM ingest_api.tenants_v1"))).all() == []
        await db.close()
    finally:
        await execute(
            empty_url,
            *(f"REVOKE {role} FROM {login} CASCADE" for role in roles),
            f"REASSIGN OWNED BY {login} TO postgres",
            f"DROP OWNED BY {login}",
            f"DROP ROLE {login}",
        )


async def headway_roles(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname ~ '^headway_'")
        return [row["rolname"] for row in rows]
    finally:
        await connection.close()


def alembic(url: str, schema: str, *arguments: str) -> None:
    """As from the shell."""
    environment = {**os.environ, "HEADWAY_DATABASE_URL": url}
    command = [sys.executable, "-m", "alembic", "-n", schema, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_the_shell_can_run_one_schema_and_agrees_with_the_runner(database_url: str) -> None:
    for schema in SCHEMAS:
        alembic(database_url, schema, "upgrade", "head")
        from_shell = alembic_config(schema).get_main_option("script_location") or ""
        assert from_shell.endswith(SCRIPTS[schema])


async def test_rules_that_are_there_learn_which_of_their_versions_is_the_latest(
    empty_url: str,
) -> None:
    await migrate(empty_url)
    alembic(empty_url, "alerts", "downgrade", "alerts_0012")
    await execute(
        empty_url,
        "INSERT INTO alerts.rules (tenant_id, rule_id, version, definition, mode, effective_from,"
        " changed_at, published_at, published_by) SELECT tenant, rule, version, '{}', 'live',"
        " now(), now(), now(), 'test' FROM (VALUES ('a', 'once', 1), ('a', 'edited', 1),"
        " ('a', 'edited', 2), ('a', 'edited', 3), ('b', 'edited', 1)) AS v (tenant, rule, version)",
    )
    await migrate(empty_url)
    connection = await asyncpg.connect(empty_url)
    latest = await connection.fetch("SELECT tenant_id, rule_id, version FROM alerts.rules"
                                    " WHERE latest ORDER BY 1, 2")  # fmt: skip
    await connection.close()
    assert list(map(tuple, latest)) == [("a", "edited", 3), ("a", "once", 1), ("b", "edited", 1)]


async def test_ends_that_are_there_stay_known_since_they_were_told(empty_url: str) -> None:
    """One whose tombstone is written forgot since when: it counts as known when it came about."""
    await migrate(empty_url)
    alembic(empty_url, "alerts", "downgrade", "alerts_0014")
    await execute(
        empty_url,
        "INSERT INTO alerts.alerts (tenant_id, alert_id, rule_id, subject_kind, subject_id, state,"
        " severity, started_at, detected_at, resolved_at, rule_version, rule_name, episode,"
        " start_source, start_event_id, turn, clock_start, resolution, late, labels, evidence,"
        " corrections, record_version, ended_at) SELECT 'a', gen_random_uuid(), 'r', 'deal', name,"
        " state, 'info', day + 1, day + seen, day + resolved, 1, 'r', 1, 's', name, 0, day,"
        " resolution, false, '{}', '{}', '[]', 1, day + ended FROM (VALUES"
        " ('open', 'firing', 2, NULL, NULL, NULL), ('ended', 'resolved', 2, 3, 'cleared', 5),"
        " ('buried', 'resolved', 2, 3, 'cleared', NULL), ('late', 'resolved', 4, 3, 'cleared',"
        " NULL)) AS v (name, state, seen, resolved, resolution, ended),"
        " (VALUES (date '2026-03-01')) AS d (day)",
    )
    await migrate(empty_url)
    connection = await asyncpg.connect(empty_url)
    await connection.execute("SELECT set_config('app.tenant', 'a', false)")
    known = await connection.fetch("SELECT subject_id, end_known_at::date - date '2026-03-01'"
                                   " FROM alerts_api.alerts_v1")  # fmt: skip
    await connection.close()
    assert dict(map(tuple, known)) == {"open": None, "ended": 5, "buried": 3, "late": 4}
