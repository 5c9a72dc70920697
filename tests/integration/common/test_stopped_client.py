"""A client that is stopped amid a statement: to PostgreSQL it neither idles nor runs one."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from libs.common.db import database as databases
from libs.common.db.database import Database, driver
from libs.common.db.errors import DatabaseUnavailable, is_transient

pytestmark = pytest.mark.postgres
TOUCH = text("UPDATE funnel.positions SET owner = 'x' WHERE reader_group = 'stopped'")
INSERT = text(
    "INSERT INTO funnel.positions (reader_group, topic, topic_id, partition, next_offset, epoch,"
    " owner) VALUES ('stopped', 't', 'id', 0, 0, 0, '') ON CONFLICT DO NOTHING"
)
SHOWN = text("SELECT current_setting('transaction_timeout')")


@pytest.fixture
async def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(databases, "TRANSACTION_SECONDS", 1.0)
    database = Database(database_url, "headway_funnel_worker", pool_size=2)
    async with database.across_tenants() as tx:
        await tx.execute(INSERT)
    yield database
    await database.close()


async def test_its_locks_are_free_after_the_time_of_a_transaction(database: Database) -> None:
    touched = 0
    with pytest.raises((DatabaseUnavailable, DBAPIError)) as raised:
        async with database.across_tenants() as stopped:
            await stopped.execute(TOUCH)
            await (await driver(stopped)).prepare("SELECT 7")  # Parse, flushed; no Sync comes
            async with database.across_tenants() as other:
                touched = (await other.execute(TOUCH)).rowcount
            await stopped.execute(TOUCH)
    assert touched == 1
    assert is_transient(raised.value)


async def test_a_snapshot_takes_its_time(database: Database) -> None:
    async with database.across_tenants() as tx:
        assert (await tx.execute(SHOWN)).scalar() == "1s"
    async with database.across_tenants(snapshot=True) as tx:
        assert (await tx.execute(SHOWN)).scalar() == "0"
