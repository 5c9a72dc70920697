"""`GET /v1/status` of ingest: how far its reader is behind, and what has waited longest."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.db.database import Database
from libs.common.eventlog.port import LogUnavailable, NewRecord
from libs.common.process.status import Examiner, Lag
from tests.integration.ingest.burying import Graveyard, graveyard

pytestmark = pytest.mark.postgres
DLQ = f"{CRM_EVENTS}.dlq"
AN_HOUR = timedelta(hours=1)


@pytest.fixture
async def place(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Graveyard]:
    tenant = "s" + format(abs(hash(request.node.name)), "x")
    async with graveyard(database_url, tmp_path, tenant) as opened:
        yield opened


@pytest.fixture
async def examiner(place: Graveyard, database_url: str) -> AsyncIterator[Examiner]:
    """As the API process of ingest has it."""
    keys = Database(database_url, "headway_ingest_api", pool_size=2)
    yield Examiner([place.service], database_url, {"ingest": keys}, place.log)
    await keys.close()


@pytest.fixture
async def worker(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, "headway_ingest_worker")
    async with database.across_tenants() as tx:
        await tx.execute(text("DELETE FROM ingest.processes"))
    yield database
    async with database.across_tenants() as tx:
        await tx.execute(text("DELETE FROM ingest.processes"))
    await database.close()


async def held_by(database: Database, process: str, since: datetime | None) -> None:
    """What the heartbeat of a process tells; it is never swept."""
    told = {"p": process, "since": since}
    async with database.across_tenants() as tx:
        await tx.execute(
            text("""INSERT INTO ingest.processes (process_id, oldest_unappended, spooled_since,
                spools, updated_at) VALUES (:p, :since, :since, '{}', now())"""), told
        )  # fmt: skip


async def test_the_reader_of_dead_letters_tells_how_far_it_is_behind(
    place: Graveyard, examiner: Examiner
) -> None:
    await place.read()
    found = {lag.topic: lag for lag in (await examiner.full()).lag}
    assert found[DLQ] == Lag("ingest", DLQ, 12, 0)
    for number in range(3):
        await place.put(DLQ, NewRecord(b"k", b"%d" % number, ()))
    found = {lag.topic: lag for lag in (await examiner.full()).lag}
    assert found[DLQ] == Lag("ingest", DLQ, 12, 3)


async def test_the_oldest_that_waits_in_any_process_is_told(
    examiner: Examiner, worker: Database
) -> None:
    assert (await examiner.full()).unappended_seconds == 0
    await held_by(worker, "idle", None)
    await held_by(worker, "spooling", datetime.now(UTC) - AN_HOUR)
    await held_by(worker, "busy", datetime.now(UTC))
    seconds = (await examiner.full()).unappended_seconds
    assert seconds is not None
    assert 3_600 <= seconds < 4_200
    elsewhere = replace(examiner, services=(), databases={})
    assert (await elsewhere.full()).unappended_seconds is None, "not ingest's process"


async def test_it_is_told_while_the_log_is_away(
    examiner: Examiner, worker: Database, place: Graveyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: str) -> None:
        raise LogUnavailable("away")

    await place.read()
    await held_by(worker, "spooling", datetime.now(UTC) - AN_HOUR)
    monkeypatch.setattr(place.log, "ends", away)
    status = await examiner.full()
    assert (status.log_fault, list(status.lag)) == ("away", [])
    assert (status.unappended_seconds or 0) >= 3_600


async def test_a_clock_that_is_ahead_makes_no_age_below_zero(
    examiner: Examiner, worker: Database
) -> None:
    await held_by(worker, "ahead", datetime.now(UTC) + timedelta(minutes=5))
    assert (await examiner.full()).unappended_seconds == 0
