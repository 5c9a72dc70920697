"""When keys were used: noted beside the requests, written through ingest's published function."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from libs.common.clock import FakeClock
from libs.common.db.database import Database
from libs.common.db.ddl import TENANT, api_role
from libs.common.db.migrate import SERVICES
from libs.common.web import key_uses
from libs.common.web.auth import Authenticator, NewKey, new_key
from libs.common.web.key_uses import KeyUses

pytestmark = pytest.mark.postgres
PEPPER = b"p" * 32
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
USED = "SELECT ingest_api.keys_used_v1($1::text[], $2::timestamptz[])"


@pytest.fixture
async def admin(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.execute("TRUNCATE ingest.api_keys")
    await connection.close()


@asynccontextmanager
async def pool(url: str, service: str = "alerts") -> AsyncIterator[Database]:
    database = Database(url, api_role(service), pool_size=2, statement_timeout=3)
    yield database
    await database.close()


async def key_of(admin: Any, tenant: str) -> NewKey:
    key = new_key(PEPPER)
    await admin.execute(
        """INSERT INTO ingest.api_keys (tenant_id, key_id, key_hash, name, scopes, created_at)
        VALUES ($1, $2, $3, 'k', '{admin}', now())""",
        tenant, key.key_id, key.key_hash,
    )  # fmt: skip
    return key


async def used(admin: Any, key: NewKey) -> datetime | None:
    found: datetime | None = await admin.fetchval(
        "SELECT last_used_at FROM ingest.api_keys WHERE key_id = $1", key.key_id
    )
    return found


async def call(admin: Any, role: str, tenant: str, keys: list[str], at: datetime) -> None:
    async with admin.transaction():
        await admin.execute(f"SET LOCAL ROLE {role}")
        await admin.execute("SELECT set_config('app.tenant', $1, true)", tenant)
        await admin.execute(USED, keys, [at] * len(keys))
        await admin.execute("RESET ROLE")  # the transaction may be a part of another


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_tells_of_the_keys_that_it_saw(
    admin: Any, database_url: str, service: str
) -> None:
    clock = FakeClock(NOON)
    first, second, idle = [await key_of(admin, tenant) for tenant in ("a", "b", "b")]
    async with pool(database_url, service) as database:
        keys = Authenticator(database, PEPPER, clock)
        async with keys.running():
            await keys.authenticate(f"Bearer {first.plain}")
            clock.advance(timedelta(seconds=10))
            for key in (first, second):
                await keys.authenticate(f"Bearer {key.plain}")
            assert [await used(admin, key) for key in (first, second)] == [None, None]
    later = NOON + timedelta(seconds=10)
    assert [await used(admin, key) for key in (first, second, idle)] == [later, later, None]


async def test_a_use_is_written_while_the_process_goes_on(
    admin: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_uses, "WRITE_SECONDS", 0.05)
    key = await key_of(admin, "a")
    async with pool(database_url) as database:
        uses = KeyUses(database, FakeClock(NOON))
        async with uses.written(), asyncio.timeout(30):
            uses.note("a", key.key_id)
            while await used(admin, key) is None:
                await asyncio.sleep(0.01)
    assert await used(admin, key) == NOON


async def test_a_bad_credential_is_no_use(admin: Any, database_url: str) -> None:
    key = await key_of(admin, "a")
    await admin.execute("UPDATE ingest.api_keys SET revoked_at = now()")
    async with pool(database_url) as database:
        keys = Authenticator(database, PEPPER, FakeClock(NOON))
        async with keys.running():
            for plain in (key.plain, key.plain[:-1] + "x"):
                with pytest.raises(Exception, match="no valid credential"):
                    await keys.authenticate(f"Bearer {plain}")
    assert await used(admin, key) is None


async def test_what_could_not_be_written_is_written_later(admin: Any, database_url: str) -> None:
    key, clock = await key_of(admin, "a"), FakeClock(NOON)
    async with pool(database_url) as database:
        uses = KeyUses(database, clock)
        uses.note("a", key.key_id)
        function = "ingest_api.keys_used_v1"
        await admin.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM headway_alerts_api")
        with capture_logs() as told:
            await uses._try(30)
        assert [line["event"] for line in told] == ["key_uses_not_written"]
        assert await used(admin, key) is None
        await admin.execute(f"GRANT EXECUTE ON FUNCTION {function} TO headway_alerts_api")
        await uses.write()
    assert await used(admin, key) == NOON


async def test_times_move_forward_only(admin: Any) -> None:
    key = await key_of(admin, "a")
    for at in (NOON, NOON - timedelta(hours=1), NOON + timedelta(hours=1), NOON):
        await call(admin, "headway_funnel_api", "a", [key.key_id], at)
    assert await used(admin, key) == NOON + timedelta(hours=1)


@pytest.mark.parametrize("tenant", ["b", ""])
async def test_keys_of_other_tenants_are_out_of_reach(admin: Any, tenant: str) -> None:
    key = await key_of(admin, "a")
    await call(admin, "headway_funnel_api", tenant, [key.key_id], NOON)
    assert await used(admin, key) is None


@pytest.mark.parametrize(
    ("missing", "expected"),
    [(("policy",), None), (("predicate",), None), (("policy", "predicate"), NOON)],
)
async def test_each_wall_alone_keeps_them_out_of_reach(
    admin: Any, missing: tuple[str, ...], expected: datetime | None
) -> None:
    key = await key_of(admin, "a")
    transaction = admin.transaction()
    await transaction.start()
    if "policy" in missing:
        await admin.execute("ALTER TABLE ingest.api_keys DISABLE ROW LEVEL SECURITY")
    if "predicate" in missing:
        source = await admin.fetchval(
            "SELECT pg_get_functiondef('ingest_api.keys_used_v1'::regproc)"
        )
        await admin.execute(source.replace(TENANT, "true"))
    await call(admin, "headway_funnel_api", "b", [key.key_id], NOON)
    assert await used(admin, key) == expected
    await transaction.rollback()


async def test_a_row_that_somebody_holds_is_passed_over(admin: Any, database_url: str) -> None:
    held, free = await key_of(admin, "a"), await key_of(admin, "a")
    other = await asyncpg.connect(database_url)
    async with other.transaction():
        await other.execute("SELECT FROM ingest.api_keys WHERE key_id = $1 FOR UPDATE", held.key_id)
        async with asyncio.timeout(10):
            await call(admin, "headway_funnel_api", "a", [held.key_id, free.key_id], NOON)
    await other.close()
    assert [await used(admin, key) for key in (held, free)] == [None, NOON]


async def test_only_api_roles_may_call(admin: Any) -> None:
    for service in SERVICES:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await call(admin, f"headway_{service}_worker", "a", [], NOON)


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setattr(key_uses, "LIMIT", 3)
    async with pool(database_url) as database:
        uses = KeyUses(database, FakeClock(NOON))
        for n in range(10):
            uses.note("a", str(n))
        assert len(uses._noted) == 3
