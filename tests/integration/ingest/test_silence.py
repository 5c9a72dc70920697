"""When a connection counts as silent: hours that it was not silent in a week before."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from services.ingest.adapters.connection_counts import CountsWriter
from services.ingest.app.connection_counts import ConnectionCounts, Delivered
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.model import Connection
from tests.integration.ingest.conftest import Api
from tests.integration.ingest.connecting import put, standard

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 3, 16, 18, 30, tzinfo=UTC)  # a Monday
WEEK = timedelta(days=7)


class Told:
    """A connection whose deliveries are told as they may have been."""

    def __init__(self, api: Api, connection_id: str) -> None:
        state = cast(Any, api.service.state)
        self._live = Live(api.tenant, connection_id, "hubspot", Connection(connection_id))
        self._counts, self._api = ConnectionCounts(), api
        self._writer = CountsWriter(state.counting._database, self._counts, state.clock)

    async def delivered(self, *times: datetime) -> None:
        for at in times:
            one = Delivered(at, accepted=1, duplicates=0, rejected=0, last_event_at=at)
            self._counts.delivered(self._live, one)
        await self._writer.write()

    async def gap(self, now: datetime, monkeypatch: pytest.MonkeyPatch) -> Any:
        class At:
            def now(self) -> datetime:
                return now

        state = cast(Any, self._api.service.state)
        with monkeypatch.context() as patched:
            patched.setattr(type(state), "clock", At())
            path = f"/v1/connections/{self._live.connection_id}"
            return (await self._api.client.get(path)).json()["gap"]

    async def silent(self, now: datetime) -> float | None:
        await self._writer.look(now)
        return REGISTRY.get_sample_value("headway_ingest_connections_silent")


def office_hours(day: datetime) -> list[datetime]:
    return [day.replace(hour=hour, minute=20) for hour in range(8, 18)]


@pytest.fixture
async def told(api: Api) -> Told:
    own = standard(api)
    await put(api, own)
    return Told(api, own)


async def test_a_silent_monday_is_noticed_a_silent_sunday_is_not(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_monday, friday = NOW - WEEK, NOW - timedelta(days=3)
    await told.delivered(*office_hours(last_monday), *office_hours(friday))
    before = await told.silent(NOW - timedelta(days=1))
    assert await told.gap(NOW - timedelta(days=1), monkeypatch) is None
    assert await told.gap(NOW.replace(hour=13), monkeypatch) is None, "five hours are not enough"
    found = await told.gap(NOW, monkeypatch)
    assert found == {"since": "2026-03-13T17:20:00Z", "quiet_hours": 10}
    assert await told.silent(NOW) == (before or 0) + 1
    await told.delivered(NOW)
    assert await told.gap(NOW + timedelta(minutes=1), monkeypatch) is None
    assert await told.silent(NOW) == before


async def test_a_silence_of_weeks_is_not_forgotten(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told.delivered(*office_hours(NOW - WEEK), *office_hours(NOW))
    much_later = NOW + timedelta(days=40)
    await told.silent(much_later)
    found = await told.gap(much_later, monkeypatch)
    assert found["quiet_hours"] >= 10


async def test_a_young_connection_has_no_habits(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await told.gap(NOW, monkeypatch) is None
    await told.delivered(*office_hours(NOW - timedelta(days=2)))
    assert await told.gap(NOW, monkeypatch) is None


async def test_hours_that_tell_nothing_more_are_forgotten(told: Told, database_url: str) -> None:
    await told.delivered(*office_hours(NOW - 3 * WEEK))
    await told.delivered(*office_hours(NOW))
    await told.silent(NOW)
    state = cast(Any, told._api.service.state)
    async with state.counting._database.across_tenants() as tx:
        from sqlalchemy import text

        rows = await tx.execute(text("SELECT min(hour) FROM ingest.connection_hours"
                                     " WHERE tenant_id = :t"), {"t": told._api.tenant})  # fmt: skip
        assert rows.scalar_one() == NOW.replace(hour=8, minute=0)
