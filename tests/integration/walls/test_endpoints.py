"""No read of any service shows one tenant what is another's, with either wall on its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from libs.common.db.migrate import crosses_tenants
from libs.common.db.selfcheck import exempt
from libs.common.web.serve import Port, listen, listening
from tests.integration.common.catalog import published_views, walled_tables
from tests.integration.common.test_catalog import PREDICATE
from tests.integration.walls.two_tenants import TENANTS, Both, both, event, secret_of

pytestmark = pytest.mark.postgres
ALPHA, BETA = TENANTS
REFUSED = {"/v1/tenants": 403, "/v1/sandbox/clock": 422}
"""An operator's, and one for sandboxes."""
SECRETLESS = (
    *REFUSED, "/v1/dead-letters", "/v1/events/", "/v1/imports", "/v1/api-keys",
    "/v1/projection",
)  # fmt: skip
"""What tells nothing that a tenant has said itself."""
Walls = Callable[[Any], AbstractAsyncContextManager[None]]


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[Both]:
    await _forget(database_url)
    async with both(database_url, tmp_path) as told:
        yield told


async def _forget(url: str) -> None:
    """A database like new, for the next log in memory."""
    connection = await asyncpg.connect(url)
    for table in await connection.fetch(
        """SELECT c.oid::regclass::text AS name FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND n.nspname IN ('ingest', 'funnel', 'reporting', 'alerts')
            AND c.relname NOT LIKE 'alembic%'"""
    ):
        await connection.execute(f"TRUNCATE {table['name']}")
    await connection.close()


async def assert_apart(world: Both) -> None:
    """Beta sees its own and never alpha's; what only alpha has is not there for it."""
    for path, only_alphas in world.reads():
        theirs = await world.call(BETA, "GET", path)
        assert secret_of(ALPHA) not in theirs.text, path
        own = await world.call(ALPHA, "GET", path)
        assert secret_of(BETA) not in own.text, path
        good = REFUSED.get(path, 200)
        expected = (good, 404 if only_alphas else good)
        assert (own.status_code, theirs.status_code) == expected, (path, own.text, theirs.text)
        if not path.startswith(SECRETLESS):
            assert secret_of(ALPHA) in own.text, path
            assert only_alphas or secret_of(BETA) in theirs.text, path


async def test_every_read_is_called(world: Both) -> None:
    left = world.unknown_parameters()
    assert left <= {"name", "id", "kind"}, left


@asynccontextmanager
async def both_walls(_: Any) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def row_level_security_alone(connection: Any) -> AsyncIterator[None]:
    """The published views without their predicate."""
    kept = {
        view: await connection.fetchval("SELECT pg_get_viewdef($1::regclass)", view)
        for view in await _walled_views(connection)
    }
    for view, definition in kept.items():
        bare, count = PREDICATE.subn("true", definition)
        assert count == 1, view
        await _define(connection, view, bare)
    try:
        yield
    finally:
        for view, definition in kept.items():
            await _define(connection, view, definition)


@asynccontextmanager
async def predicates_alone(connection: Any) -> AsyncIterator[None]:
    """The tables without row-level security."""
    tables = [table.full_name for table in await walled_tables(connection)]
    for table in tables:
        await connection.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    try:
        yield
    finally:
        for table in tables:
            await connection.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


async def _walled_views(connection: Any) -> list[str]:
    views = [f"{schema}.{name}" for schema, name in await published_views(connection)]
    return [view for view in views if not crosses_tenants(view) and not exempt().view(view)]


async def _define(connection: Any, view: str, select: str) -> None:
    await connection.execute(f"CREATE OR REPLACE VIEW {view} WITH (security_barrier) AS {select}")


@pytest.mark.parametrize("walls", [both_walls, row_level_security_alone, predicates_alone])
async def test_no_read_shows_what_is_anothers(world: Both, database_url: str, walls: Walls) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        async with walls(connection):
            await assert_apart(world)
    finally:
        await connection.close()


async def test_a_stream_tells_each_its_own(world: Both) -> None:
    """Its wall is the tenant of each record; it has no view."""
    change = {"deal_id": "D-1", "changes": {"attributes.more": "x"}}
    body = event("more", "deal.updated", **change)
    async with (
        listening(world.app, listen("127.0.0.1", 0), asyncio.Event()) as port,
        streamed(world, ALPHA, port) as alphas,
        streamed(world, BETA, port) as betas,
    ):
        for tenant in TENANTS:
            sent = await world.call(tenant, "POST", "/v1/events", json=body)
            assert sent.status_code == 202, sent.text
        told = {ALPHA: await until_secret(alphas), BETA: await until_secret(betas)}
    for tenant, other in (TENANTS, TENANTS[::-1]):
        assert secret_of(tenant) in told[tenant]
        assert secret_of(other) not in told[tenant]


@asynccontextmanager
async def streamed(world: Both, who: str, port: Port) -> AsyncIterator[AsyncIterator[str]]:
    headers = {"Authorization": f"Bearer {world.keys[who]}"}
    url = f"http://127.0.0.1:{port.number}"
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False) as client,
        client.stream("GET", "/v1/stream", params={"topics": "deals,alerts"}) as answer,
    ):
        assert answer.status_code == 200
        yield answer.aiter_lines()


async def until_secret(lines: AsyncIterator[str]) -> str:
    told = ""
    async with asyncio.timeout(30):
        while "secret-of-" not in told:
            told += await anext(lines)
    return told


async def test_without_any_wall_this_test_would_see_it(world: Both, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        async with row_level_security_alone(connection), predicates_alone(connection):
            with pytest.raises(AssertionError):
                await assert_apart(world)
    finally:
        await connection.close()


async def test_what_is_anothers_cannot_be_changed(world: Both) -> None:
    keys = (await world.call(ALPHA, "GET", "/v1/api-keys")).json()["items"]
    (key,) = [held["id"] for held in keys]
    assert (await world.call(BETA, "DELETE", f"/v1/api-keys/{key}")).status_code == 404
    body = {"tenant": ALPHA}
    rebuilt = await world.call(BETA, "POST", "/v1/projection/rebuilds", json=body)
    assert rebuilt.status_code == 404
    assert (await world.call(ALPHA, "GET", "/v1/tenants/self")).status_code == 200
