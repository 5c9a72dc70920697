"""Alerts after an import: clients read them anew once alerts has worked that import off."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.listening import Listener, Station, on_air

pytestmark = pytest.mark.postgres
_MARKS = (
    """INSERT INTO funnel.watermarks (name, watermark, updated_at) VALUES ('deals', $1, $1)
    ON CONFLICT (name) DO UPDATE SET watermark = excluded.watermark""",
    """INSERT INTO alerts.watermarks (partition, watermark) VALUES (0, $1)
    ON CONFLICT (partition) DO UPDATE SET watermark = excluded.watermark""",
)


@pytest.fixture
async def station(reporting: Reporting) -> AsyncIterator[Station]:
    await reporting.connection.execute(
        "DELETE FROM ingest.imports; DELETE FROM funnel.watermarks; DELETE FROM ingest.api_keys;"
        "DELETE FROM ingest.tenants; DELETE FROM funnel.generations;"
        "DELETE FROM alerts.watermarks; DELETE FROM alerts.subjects"
    )
    for tenant in ("mine", "theirs"):
        await reporting.tenant(tenant)
    async with on_air(reporting) as station:
        yield station


async def ended(station: Station) -> UUID:
    """An import that is over, with a deal of which alerts has not yet thought."""
    id_, now = uuid4(), station.reporting.clock.now()
    await station.reporting.connection.execute(
        """INSERT INTO ingest.imports (tenant_id, import_id, state, origin, recorded, dry_run,
            encoding, path, bytes, actor, started_at, finished_at)
        VALUES ('mine', $1, 'done', 'backfill', 'now', false, '', '', 0, 'test', $2, $2)""",
        id_, now,
    )  # fmt: skip
    await station.reporting.connection.execute(
        """INSERT INTO alerts.subjects (tenant_id, kind, subject_id, pending_at, brought, import_id)
        VALUES ('mine', 'deal', 'D', $2, true, $1)""", id_, now,
    )  # fmt: skip
    return id_


async def reached(station: Station, *marks: str) -> None:
    """Watermarks pass what has been until now."""
    station.pass_by(1)
    for mark in marks:
        await station.reporting.connection.execute(mark, station.reporting.clock.now())


async def judged(station: Station) -> None:
    await station.reporting.connection.execute(
        "UPDATE alerts.subjects SET pending_at = NULL, brought = false, import_id = NULL"
    )


async def silence(station: Station, listener: Listener) -> None:
    station.pass_by(16)
    assert (await listener.next()).comment == "heartbeat"


async def resync(station: Station, listener: Listener) -> None:
    station.pass_by(6)
    told = await listener.event()
    assert (told.event, told.json) == ("resync", {"reason": "import"})


async def test_of_alerts_it_is_told_once_all_of_the_import_is_judged(station: Station) -> None:
    async with station.listen("mine", "alerts") as listener:
        await listener.next()
        await ended(station)
        await reached(station, _MARKS[0])
        await silence(station, listener)
        await reached(station, _MARKS[1])
        await silence(station, listener)
        await judged(station)
        await resync(station, listener)
        await silence(station, listener)


async def test_of_deals_before_that_and_of_both_twice(station: Station) -> None:
    async with (
        station.listen("mine", "deals,alerts") as both,
        station.listen("mine", "deals") as deals,
        station.listen("theirs", "deals,alerts") as theirs,
    ):
        for listener in (both, deals, theirs):
            await listener.next()
        await ended(station)
        await reached(station, *_MARKS)
        await resync(station, both)
        assert (await deals.event()).json == {"reason": "import"}
        await judged(station)
        await resync(station, both)
        station.pass_by(16)
        assert (await deals.next()).comment == "heartbeat"
        assert (await theirs.next()).comment == "heartbeat"


async def test_it_is_told_on_resume(station: Station) -> None:
    await ended(station)
    await reached(station, *_MARKS)
    async with station.listen("mine", "alerts") as listener:
        await listener.next()
    await judged(station)
    station.pass_by(6)
    async with station.listen("mine", "alerts", since=listener.last_id) as again:
        told = await again.event()
        assert (told.event, told.json) == ("resync", {"reason": "import"})
