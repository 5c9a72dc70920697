"""Heartbeats of processes: what holds the watermark back, and what does not."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from libs.common.clock import FakeClock
from libs.common.db.database import Database
from services.ingest.adapters.processes import Heartbeat
from services.ingest.app.unappended import Unappended
from services.ingest.settings import IngestSettings

pytestmark = pytest.mark.postgres
SETTINGS = IngestSettings()
EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


@dataclass
class Spooled:
    """The spools of a process, as its heartbeat sees them."""

    names: Sequence[str] = ("own",)
    since: datetime | None = None

    def oldest(self) -> datetime | None:
        return self.since


def heartbeat(
    database: Database,
    process: str,
    spools: Spooled | None = None,
    held: Unappended | None = None,
    clock: FakeClock | None = None,
) -> Heartbeat:
    oldest = (held or Unappended()).oldest
    spooled = spools or Spooled((process,))
    return Heartbeat(database, process, oldest, spooled, clock or FakeClock(LATE), SETTINGS)


async def rows(database: Database) -> dict[str, datetime | None]:
    async with database.across_tenants() as tx:
        found = await tx.execute(text("SELECT process_id, oldest_unappended FROM ingest.processes"))
        return {row.process_id: row.oldest_unappended for row in found}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Nobody has spoken yet."""
    database = Database(database_url, "headway_ingest_worker")
    async with database.across_tenants() as tx:
        await tx.execute(text("DELETE FROM ingest.processes"))
    yield database
    await database.close()


def test_the_oldest_of_what_is_held_counts() -> None:
    held = Unappended()
    with held.hold(LATE):
        with held.hold(EARLY), held.hold(EARLY):
            assert held.oldest() == EARLY
        assert held.oldest() == LATE
    assert held.oldest() is None


async def test_a_process_tells_its_oldest_and_leaves_when_it_stops(database: Database) -> None:
    held = Unappended()
    heart = heartbeat(database, "p1", held=held)
    await heart.start()
    assert await rows(database) == {"p1": None}
    with held.hold(EARLY):
        await heart.beat()
        assert await rows(database) == {"p1": EARLY}
    await heart.stop()
    assert await rows(database) == {}


async def test_what_waits_on_disk_counts_like_what_is_in_flight(database: Database) -> None:
    held = Unappended()
    heart = heartbeat(database, "p1", Spooled(since=EARLY), held)
    with held.hold(LATE):
        await heart.beat()
    assert await rows(database) == {"p1": EARLY}


async def old(database: Database, process: str, spooled: bool, name: str) -> None:
    """A row of a process that has been silent for an hour."""
    async with database.across_tenants() as tx:
        await tx.execute(
            text("""INSERT INTO ingest.processes
                (process_id, oldest_unappended, spools, spooled_since, updated_at)
                VALUES (:process, :at, ARRAY[:name], :since, now() - interval '1 hour')"""),
            {"process": process, "at": EARLY, "name": name, "since": EARLY if spooled else None},
        )


async def test_rows_of_dead_processes_go_once_everybody_had_time_to_speak(
    database: Database,
) -> None:
    await old(database, "dead", spooled=False, name="a")
    clock = FakeClock(LATE)
    heart = heartbeat(database, "p1", clock=clock)
    await heart.beat()
    assert await rows(database) == {"p1": None, "dead": EARLY}, "the database may have been away"
    clock.advance(timedelta(seconds=SETTINGS.heartbeat_stale))
    await heart.beat()
    assert await rows(database) == {"p1": None}


async def test_a_spool_holds_the_watermark_until_another_process_has_it(
    database: Database,
) -> None:
    await old(database, "dead", spooled=True, name="a")
    clock = FakeClock(LATE)
    other = heartbeat(database, "p1", clock=clock)
    await other.beat()
    clock.advance(timedelta(days=1))
    await other.beat()
    assert await rows(database) == {"p1": None, "dead": EARLY}
    heir = heartbeat(database, "p2", Spooled(("a",), LATE))
    await heir.beat()
    assert await rows(database) == {"p1": None, "p2": LATE}


async def test_who_stops_with_events_on_disk_still_holds_the_watermark(database: Database) -> None:
    heart = heartbeat(database, "p1", Spooled(since=EARLY))
    await heart.start()
    await heart.stop()
    assert await rows(database) == {"p1": EARLY}


async def test_without_postgresql_a_process_starts_and_stops() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none", "headway_ingest_worker")
    heart = heartbeat(database, "p1")
    await heart.start()
    await heart.stop()
    await database.close()
