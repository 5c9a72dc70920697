"""A PostgreSQL that is there and says nothing: clients are answered in time, and nothing leaks."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from libs.common.clock import SystemClock
from libs.common.db.database import Database
from libs.common.db.embedded import EmbeddedPostgres
from libs.common.db.errors import DatabaseUnavailable
from libs.common.db.migrate import migrate
from libs.common.web.auth import Authenticator, new_key
from libs.common.web.errors import Unavailable

pytestmark = pytest.mark.postgres

ANSWER = 4.0
"""Architecture, section 8: what a request may take in all."""
PEPPER = bytes(32)
SECONDS_0 = timedelta()
API, WORKER = "headway_ingest_api", "headway_ingest_worker"
TENANT = text("SELECT current_setting('app.tenant', true)")
SLEEP = text("SELECT pg_sleep(:seconds)")
ADD_KEY = text(
    "INSERT INTO ingest.api_keys (tenant_id, key_id, key_hash, name, scopes, created_at)"
    " VALUES ('_operator', :id, :hash, 'test', '{operator}', now())"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One of our own, since it is stopped in the middle of things."""
    server = EmbeddedPostgres(Path(tmp_path_factory.mktemp("frozen")), {"fsync": "off"})
    try:
        server.start()
        asyncio.run(migrate(server.url()))
        yield server
    finally:
        server.stop()


@contextmanager
def frozen(server: EmbeddedPostgres) -> Iterator[None]:
    postmaster = server.running_pid()
    assert postmaster is not None
    children = subprocess.run(["pgrep", "-P", str(postmaster)], capture_output=True, check=True)
    pids = [postmaster, *map(int, children.stdout.split())]
    _signal(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


@pytest.fixture
async def api(server: EmbeddedPostgres) -> AsyncIterator[Database]:
    database = Database(server.url(), API, pool_size=2, statement_timeout=1)
    yield database
    await database.close()


async def read(database: Database, tenant: str, seconds: float = 0) -> object:
    async with database.for_tenant(tenant) as tx:
        await tx.execute(SLEEP, {"seconds": seconds})
        return await tx.scalar(TENANT)


async def test_a_statement_under_way_is_given_up(api: Database, server: EmbeddedPostgres) -> None:
    reading = asyncio.create_task(read(api, "a", 0.9))
    await until_active(server)
    with frozen(server), pytest.raises(DatabaseUnavailable):
        async with asyncio.timeout(ANSWER):
            await reading
    await assert_clean(api)


async def until_active(server: EmbeddedPostgres) -> None:
    watching = Database(server.url(), "postgres", pool_size=1)
    asked = text(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
        " AND query LIKE 'SELECT pg_sleep%'"
    )
    async with asyncio.timeout(30):
        found = 0
        while not found:
            async with watching.across_tenants() as tx:
                found = int(await tx.scalar(asked) or 0)
    await watching.close()


async def assert_clean(database: Database) -> None:
    """The pool serves again, each its own tenant."""
    async with asyncio.timeout(30):
        while True:
            try:
                assert await read(database, "b") == "b"
                break
            except DatabaseUnavailable:  # connections of before the thaw are still being given up
                await asyncio.sleep(0.05)
    for tenant in ("c", "d", "e"):
        assert await read(database, tenant) == tenant
    assert database.dirty_checkins == 0


async def test_nobody_waits_for_a_connection(api: Database, server: EmbeddedPostgres) -> None:
    await read(api, "a")
    with frozen(server):
        started = time.monotonic()
        asked = (read(api, f"t{n}") for n in range(8))
        async with asyncio.timeout(ANSWER):
            told = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in told] == [DatabaseUnavailable] * 8
        assert time.monotonic() - started < ANSWER
    await assert_clean(api)


async def test_a_deadline_of_a_caller_holds_for_workers_too(server: EmbeddedPostgres) -> None:
    worker = Database(server.url(), WORKER, pool_size=1)
    await read(worker, "a")
    with frozen(server):
        async with asyncio.timeout(ANSWER):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await read(worker, "a")
    await assert_clean(worker)
    reading = asyncio.create_task(read(worker, "a", 0.5))
    await until_active(server)
    with frozen(server):
        reading.cancel()
        async with asyncio.timeout(ANSWER):
            await asyncio.gather(reading, return_exceptions=True)
    await assert_clean(worker)
    await worker.close()


async def test_known_keys_stay_good_and_unknown_ones_are_told_to_come_again(
    api: Database, server: EmbeddedPostgres
) -> None:
    key, clock = new_key(PEPPER), SystemClock()
    worker = Database(server.url(), WORKER, pool_size=1)
    async with worker.across_tenants() as tx:
        await tx.execute(ADD_KEY, {"id": key.key_id, "hash": key.key_hash})
    await worker.close()
    keys = Authenticator(api, PEPPER, clock)
    known = await keys.authenticate(f"Bearer {key.plain}")
    with frozen(server):
        async with asyncio.timeout(ANSWER):
            with pytest.raises(Unavailable) as refused:
                await keys.authenticate(f"Bearer {new_key(PEPPER).plain}")
        assert refused.value.headers["Retry-After"] == "2"
        async with asyncio.timeout(ANSWER):
            for _ in range(20):  # together: only who finds the silence out waits for it
                assert await keys.authenticate(f"Bearer {key.plain}", SECONDS_0) == known
    async with asyncio.timeout(30):
        while (await keys.authenticate(f"Bearer {key.plain}", SECONDS_0)) != known:
            pass
    await assert_clean(api)
