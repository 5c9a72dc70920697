"""Every table and view of the catalog, new ones included: tenant first, and two walls."""

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from libs.common.db.ddl import LOOKUP, OWNER, api_role, worker_role
from libs.common.db.migrate import SERVICES, callers, crosses_tenants, readers
from libs.common.db.selfcheck import exempt
from tests.integration.common.catalog import TENANTS, Table, published_views, row_of, walled_tables

pytestmark = pytest.mark.postgres

PREDICATE = re.compile(
    r"\(?(?:\w+\.)?tenant_id = current_setting\('app\.tenant'::text, true\)\)?", re.I
)


@pytest.fixture
async def admin(database_url: str) -> AsyncIterator[Any]:
    """A superuser's connection whose work is rolled back."""
    connection = await asyncpg.connect(database_url)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def become(connection: Any, role: str | None, tenant: str | None = None) -> None:
    await connection.execute(f"SET LOCAL ROLE {role}" if role else "RESET ROLE")
    await connection.execute("SELECT set_config('app.tenant', $1, true)", tenant or "")


async def fill(connection: Any) -> list[Table]:
    """One row for each tenant in every walled table."""
    tables = await walled_tables(connection)
    assert len(tables) > 10
    await become(connection, None)
    for table in tables:
        for tenant in TENANTS:
            statement, values = row_of(table, tenant)
            await connection.execute(statement, *values)
    return tables


async def tenants_in(connection: Any, relation: str) -> list[str]:
    rows = await connection.fetch(f"SELECT DISTINCT tenant_id FROM {relation} ORDER BY 1")  # noqa: S608
    return [row["tenant_id"] for row in rows]


async def readers_of(connection: Any, relation: str) -> list[str]:
    rows = await connection.fetch(
        "SELECT rolname FROM pg_roles WHERE rolname ~ '^headway_.*_(api|worker)$'"
        " AND has_table_privilege(rolname, $1, 'SELECT')",
        relation,
    )
    return [row["rolname"] for row in rows]


async def test_the_tenant_leads_every_key_and_index(admin: Any) -> None:
    rows = await admin.fetch(
        """SELECT n.nspname || '.' || t.relname AS table, n.nspname || '.' || i.relname AS index,
            pg_get_indexdef(x.indexrelid, 1, true) AS first, x.indisprimary AS key
        FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid
            JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE n.nspname = ANY($1)""",
        list(SERVICES),
    )
    led_by_others = [
        row["index"]
        for row in rows
        if row["first"] != "tenant_id"
        and not exempt().table(row["table"])
        and not exempt().index(row["index"])
    ]
    assert led_by_others == []
    with_key = {row["table"] for row in rows if row["key"]}
    assert [t.full_name for t in await walled_tables(admin) if t.full_name not in with_key] == []


async def test_nobody_but_the_owner_reaches_a_partition_directly(admin: Any) -> None:
    open_partitions = await admin.fetch(
        """SELECT c.oid::regclass::text AS name, r.rolname FROM pg_class c, pg_roles r
        WHERE c.relispartition AND c.relkind = 'r' AND r.rolname ~ '^headway_'
            AND r.rolname <> 'headway_owner' AND has_table_privilege(r.oid, c.oid, 'SELECT')"""
    )
    assert open_partitions == []


async def test_every_table_shows_an_api_role_its_tenant_only(admin: Any) -> None:
    for table in await fill(admin):
        for tenant in TENANTS:
            await become(admin, api_role(table.service), tenant)
            assert await tenants_in(admin, table.full_name) == [tenant], table
        await become(admin, worker_role(table.service))
        assert await tenants_in(admin, table.full_name) == list(TENANTS), table
        await become(admin, None)


async def test_an_api_role_without_a_tenant_reads_nothing_and_writes_nothing(admin: Any) -> None:
    for table in await fill(admin):
        statement, values = row_of(table, "tenant-c")
        for tenant in (None, "tenant-a"):
            await become(admin, api_role(table.service), tenant)
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                async with admin.transaction():
                    await admin.execute(statement, *values)
        await become(admin, api_role(table.service))
        assert await tenants_in(admin, table.full_name) == [], table
        await become(admin, None)


async def walled_views(connection: Any) -> list[str]:
    views = [f"{schema}.{name}" for schema, name in await published_views(connection)]
    return [view for view in views if not crosses_tenants(view) and not exempt().view(view)]


async def assert_views_keep_tenants_apart(connection: Any) -> None:
    views = await walled_views(connection)
    assert len(views) > 10
    for view in views:
        for role in await readers_of(connection, view):
            for tenant in TENANTS:
                await become(connection, role, tenant)
                assert await tenants_in(connection, view) == [tenant], (view, role)
            await become(connection, role)
            assert await tenants_in(connection, view) == [], (view, role)
            await become(connection, None)


async def test_published_views_keep_tenants_apart(admin: Any) -> None:
    await fill(admin)
    await assert_views_keep_tenants_apart(admin)


async def test_row_level_security_alone_keeps_the_views_apart(admin: Any) -> None:
    """The views without their predicate, owned by the same role."""
    await fill(admin)
    for view in await walled_views(admin):
        definition = await admin.fetchval("SELECT pg_get_viewdef($1::regclass)", view)
        bare, count = PREDICATE.subn("true", definition)
        assert count == 1, f"{view} carries the tenant predicate once: {definition}"
        await admin.execute(f"CREATE OR REPLACE VIEW {view} WITH (security_barrier) AS {bare}")
    await assert_views_keep_tenants_apart(admin)


async def test_the_predicate_alone_keeps_the_views_apart(admin: Any) -> None:
    for table in await fill(admin):
        await admin.execute(f"ALTER TABLE {table.full_name} DISABLE ROW LEVEL SECURITY")
    await assert_views_keep_tenants_apart(admin)


async def test_without_both_walls_this_test_would_see_the_other_tenant(admin: Any) -> None:
    """What the two tests above would say if they could not fail."""
    await fill(admin)
    await admin.execute("ALTER TABLE ingest.tenants DISABLE ROW LEVEL SECURITY")
    view = "ingest_api.tenants_v1"
    definition = await admin.fetchval("SELECT pg_get_viewdef($1::regclass)", view)
    await admin.execute(f"CREATE OR REPLACE VIEW {view} AS {PREDICATE.sub('true', definition)}")
    with pytest.raises(AssertionError, match="tenants_v1"):
        await assert_views_keep_tenants_apart(admin)


async def test_views_exempt_from_the_walls_show_nothing_of_a_tenant(admin: Any) -> None:
    rows = await admin.fetch(
        "SELECT DISTINCT view_schema || '.' || view_name AS view,"
        " table_schema || '.' || table_name AS table FROM information_schema.view_table_usage"
        " WHERE view_schema = ANY($1)",
        [f"{service}_api" for service in SERVICES],
    )
    tables = {row["table"] for row in rows if exempt().view(row["view"])}
    assert tables, "information_schema shows an owner its views"
    assert [table for table in tables if not exempt().table(table)] == []


async def test_views_over_all_tenants_are_for_workers_and_the_two_look_ups(admin: Any) -> None:
    for schema, view in await published_views(admin):
        if not crosses_tenants(view) or view in ("key_lookup_v1", "connection_lookup_v1"):
            continue
        apis = [r for r in await readers_of(admin, f"{schema}.{view}") if r.endswith("_api")]
        columns = await admin.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0",
            f"{schema}.{view}",
        )
        names_tenants = "tenant_id" in {row["attname"] for row in columns}
        assert not (apis and names_tenants), f"{schema}.{view} shows {apis} every tenant"


async def assert_grants_are_the_file(connection: Any) -> None:
    expected = {
        (f"{schema}.{view}", f"headway_{role}")
        for schema, views in readers().items()
        for view, roles in views.items()
        for role in roles
    }
    rows = await connection.fetch(
        """SELECT n.nspname || '.' || c.relname AS view,
            coalesce(r.rolname, 'PUBLIC') AS role, a.privilege_type AS right
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
            aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
            LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE n.nspname = ANY($1) AND a.grantee <> c.relowner""",
        [f"{service}_api" for service in SERVICES],
    )
    assert {row["right"] for row in rows} == {"SELECT"}
    assert {(row["view"], row["role"]) for row in rows} == expected
    published = {f"{schema}.{view}" for schema, view in await published_views(connection)}
    assert {view for view, _ in expected} == published


async def test_the_grants_file_is_what_the_catalog_grants(admin: Any) -> None:
    await assert_grants_are_the_file(admin)


@pytest.mark.parametrize(
    "planted",
    [
        "GRANT SELECT ON funnel_api.deals_v1 TO headway_ingest_api",
        "GRANT SELECT ON funnel_api.deals_v1 TO PUBLIC",
        "GRANT UPDATE ON alerts_api.clock_v1 TO headway_funnel_api",
        "REVOKE SELECT ON funnel_api.deals_v1 FROM headway_reporting_api",
        "CREATE VIEW funnel_api.unnamed_v1 AS SELECT 1 AS n",
    ],
)
async def test_a_planted_grant_is_noticed(admin: Any, planted: str) -> None:
    await admin.execute(planted)
    with pytest.raises(AssertionError):
        await assert_grants_are_the_file(admin)


async def assert_callers_are_the_file(connection: Any) -> None:
    rows = await connection.fetch(
        """SELECT format('%s.%s(%s)', n.nspname, p.proname,
                pg_get_function_identity_arguments(p.oid)) AS function,
            pg_get_userbyid(p.proowner) AS owner, coalesce(r.rolname, 'PUBLIC') AS role
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace,
            aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
            LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE n.nspname = ANY($1)""",
        [f"{service}_api" for service in SERVICES],
    )
    told = {
        (function, f"headway_{role}") for function, roles in callers().items() for role in roles
    }
    assert {row["owner"] for row in rows} == {OWNER}
    found = {(row["function"], row["role"]) for row in rows if row["role"] != OWNER}
    assert found == told


async def test_the_grants_file_names_who_may_call_what(admin: Any) -> None:
    await assert_callers_are_the_file(admin)


@pytest.mark.parametrize(
    "planted",
    [
        "GRANT EXECUTE ON FUNCTION ingest_api.keys_used_v1 TO PUBLIC",
        "GRANT EXECUTE ON FUNCTION ingest_api.keys_used_v1 TO headway_funnel_worker",
        "REVOKE EXECUTE ON FUNCTION ingest_api.keys_used_v1 FROM headway_alerts_api",
        "ALTER FUNCTION ingest_api.keys_used_v1 OWNER TO headway_lookup",
        "CREATE FUNCTION funnel_api.unnamed_v1() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
async def test_a_planted_right_to_call_is_noticed(admin: Any, planted: str) -> None:
    await admin.execute(planted)
    with pytest.raises(AssertionError):
        await assert_callers_are_the_file(admin)


async def test_no_service_reaches_another_services_tables(admin: Any) -> None:
    rows = await admin.fetch(
        """SELECT n.nspname AS schema, c.relname AS table, r.rolname AS role
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles r
        WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') AND r.rolname ~ '^headway_'
            AND (has_table_privilege(r.oid, c.oid, 'SELECT')
                OR has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))""",
        list(SERVICES),
    )
    for row in rows:
        own = {OWNER, LOOKUP, api_role(row["schema"]), worker_role(row["schema"])}
        assert row["role"] in own, f"{row['role']} reaches {row['schema']}.{row['table']}"
