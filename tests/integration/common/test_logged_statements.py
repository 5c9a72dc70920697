"""A37: what a statement brought is not in the log when PostgreSQL, or its driver, refuses it."""

import io
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from sqlalchemy import text

from libs.common.db.database import Database, driver
from tests.unit.common.logged import lines_of, logged

pytestmark = pytest.mark.postgres
CANARY = "jane.canary@example.com"
_STATEMENTS = {
    "by the driver": ("SELECT CAST(:it AS bigint)", "DataError"),
    "by the server": ("SELECT CAST(CAST(:it AS text) AS bigint)", "22P02"),
    "by a limit": ("SELECT CAST(:it AS text), 1 / (length(CAST(:it AS text)) - 23)", "22012"),
}


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, "headway_ingest_worker", pool_size=1)
    yield database
    await database.close()


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    with logged() as stream:
        yield stream


async def _told(db: Database, statement: str) -> None:
    log = structlog.get_logger()
    try:
        async with db.across_tenants() as tx:
            await tx.execute(text(statement), {"it": CANARY})
    except Exception as error:  # whatever it is
        log.exception("planted")
        log.warning("planted", error=error)


@pytest.mark.parametrize("kind", _STATEMENTS)
async def test_what_a_refused_statement_brought_is_not_logged(
    db: Database, stream: io.StringIO, kind: str
) -> None:
    statement, expected = _STATEMENTS[kind]
    await _told(db, statement)
    assert CANARY not in stream.getvalue()
    traced, told = lines_of(stream)
    assert expected in traced["exception"]
    assert expected in told["error"]


async def test_rows_that_a_constraint_names_are_not_logged(
    db: Database, stream: io.StringIO
) -> None:
    try:
        async with db.across_tenants() as tx:
            inner = await driver(tx)
            await inner.execute("CREATE TEMP TABLE once (email text UNIQUE) ON COMMIT DROP")
            await inner.execute("INSERT INTO once VALUES ($1)", CANARY)
            await inner.execute("INSERT INTO once VALUES ($1)", CANARY)
    except Exception:  # noqa: BLE001  # whatever it is
        structlog.get_logger().exception("planted")
    assert "UniqueViolationError 23505" in lines_of(stream)[0]["exception"]
    assert CANARY not in stream.getvalue()
