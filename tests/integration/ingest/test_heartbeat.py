"""Heartbeats of processes: what holds the watermark back, and what does not."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from libs.common.db.database import Database
from services.ingest.adapters.processes import Heartbeat
from services.ingest.app.unappended import Unappended
from services.ingest.settings import IngestSettings

pytestmark = pytest.mark.postgres
EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


async def rows(database: Database) -> dict[str, datetime | None]:
    async with database.across_tenants() as tx:
        found = await tx.execute(text("SELECT process_id, oldest_unappended FROM ingest.processes"))
        return {row.process_id: row.oldest_unappended for row in found}


def test_the_oldest_of_what_is_held_counts() -> None:
    held = Unappended()
    with held.hold(LATE):
        with held.hold(EARLY), held.hold(EARLY):
            assert held.oldest() == EARLY
        assert held.oldest() == LATE
    assert held.oldest() is None


async def test_a_process_tells_its_oldest_and_leaves_when_it_stops(database_url: str) -> None:
    database = Database(database_url, "headway_ingest_worker")
    held = Unappended()
    heart = Heartbeat(database, "p1", held.oldest, IngestSettings())
    await heart.start()
    assert await rows(database) == {"p1": None}
    with held.hold(EARLY):
        await heart.beat()
        assert await rows(database) == {"p1": EARLY}
    await heart.stop()
    assert await rows(database) == {}
    await database.close()


async def test_rows_of_dead_processes_are_removed(database_url: str) -> None:
    database = Database(database_url, "headway_ingest_worker")
    async with database.across_tenants() as tx:
        await tx.execute(
            text("""INSERT INTO ingest.processes VALUES ('dead', :at, now() - interval '1 hour'),
                ('slow', :at, now() - interval '1 second')"""),
            {"at": EARLY},
        )
    heart = Heartbeat(database, "p1", Unappended().oldest, IngestSettings())
    await heart.beat()
    assert await rows(database) == {"p1": None, "slow": EARLY}
    await database.close()


async def test_without_postgresql_a_process_starts_and_stops() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none", "headway_ingest_worker")
    heart = Heartbeat(database, "p1", Unappended().oldest, IngestSettings())
    await heart.start()
    await heart.stop()
    await database.close()
