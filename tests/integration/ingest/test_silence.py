"""When a connection counts as silent: hours that it was not silent in a week before, and a silence
of more than twice its longest pause."""

from collections.abc import AsyncIterator
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
WEEK, DAY, HOUR = timedelta(days=7), timedelta(days=1), timedelta(hours=1)


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
        """What the connection shows; the metric, which has no other to count, tells the same."""

        class At:
            def now(self) -> datetime:
                return now

        state = cast(Any, self._api.service.state)
        with monkeypatch.context() as patched:
            patched.setattr(type(state), "clock", At())
            path = f"/v1/connections/{self._live.connection_id}"
            found = (await self._api.client.get(path)).json()["gap"]
        assert await self.silent(now) == (found is not None)
        return found

    async def silent(self, now: datetime) -> float | None:
        await self._writer.look(now)
        return REGISTRY.get_sample_value("headway_ingest_connections_silent")


def office_hours(day: datetime) -> list[datetime]:
    return hours(day, range(8, 18))


def hours(day: datetime, told: range) -> list[datetime]:
    return [day.replace(hour=hour, minute=20) for hour in told]


@pytest.fixture
async def told(api: Api) -> AsyncIterator[Told]:
    own = standard(api)
    await put(api, own)
    yield Told(api, own)
    await api.client.delete(f"/v1/connections/{own}")


async def test_a_silent_monday_is_noticed_a_silent_sunday_is_not(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_monday, friday = NOW - WEEK, NOW - 3 * DAY
    await told.delivered(*office_hours(last_monday), *office_hours(friday))
    assert await told.gap(NOW - DAY, monkeypatch) is None
    assert await told.gap(NOW.replace(hour=13), monkeypatch) is None, "five hours are not enough"
    found = await told.gap(NOW, monkeypatch)
    unknown = {"longest_pause_hours": None}
    assert found == {"since": "2026-03-13T17:20:00Z", "quiet_hours": 10} | unknown
    await told.delivered(NOW)
    assert await told.gap(NOW + timedelta(minutes=1), monkeypatch) is None


async def test_three_weeks_of_office_hours_know_the_weekend(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    mondays = [NOW - weeks * WEEK for weeks in (3, 2, 1)]
    days = [monday + day * DAY for monday in mondays for day in range(5)]
    await told.delivered(*(at for day in days for at in office_hours(day)))
    assert await told.gap(NOW - DAY, monkeypatch) is None
    assert await told.gap(NOW.replace(hour=8), monkeypatch) is None
    assert await told.gap(NOW.replace(hour=13), monkeypatch) is None
    weekend = {"quiet_hours": 10, "longest_pause_hours": 63}
    assert await told.gap(NOW, monkeypatch) == {"since": "2026-03-13T17:20:00Z"} | weekend


async def test_a_weekly_burst_is_missed_after_two_weeks(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    mondays = [NOW - weeks * WEEK for weeks in (3, 2, 1, 0)]
    await told.delivered(*(at for monday in mondays for at in hours(monday, range(8, 13))))
    last = NOW.replace(hour=12, minute=20)
    assert await told.gap(last + timedelta(hours=2 * 164), monkeypatch) is None
    since = {"since": "2026-03-16T12:20:00Z", "quiet_hours": 5, "longest_pause_hours": 164}
    assert await told.gap(last + 2 * WEEK, monkeypatch) == since
    assert await told.gap(last + timedelta(days=365), monkeypatch) == since


async def test_one_delivery_a_day_is_missed_on_the_third_day(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = NOW - 5 * WEEK
    await told.delivered(long_ago, *(NOW - days * DAY for days in range(10)))
    assert await told.gap(NOW + 2 * DAY, monkeypatch) is None
    found = await told.gap(NOW + 2 * DAY + HOUR, monkeypatch)
    assert found == {"since": "2026-03-16T18:30:00Z", "quiet_hours": 2, "longest_pause_hours": 24}
    await told.delivered(NOW + 2 * DAY + HOUR)
    assert await told.gap(NOW + 3 * DAY, monkeypatch) is None


async def test_six_hours_are_the_least(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    await told.delivered(*(NOW - passed * HOUR for passed in range(8 * 24)))
    assert await told.gap(NOW + 6 * HOUR, monkeypatch) is None
    found = await told.gap(NOW + 6 * HOUR + timedelta(minutes=1), monkeypatch)
    assert (found["quiet_hours"], found["longest_pause_hours"]) == (5, 1)


async def test_a_silence_of_weeks_is_not_forgotten(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told.delivered(*office_hours(NOW - WEEK), *office_hours(NOW))
    found = await told.gap(NOW + 40 * DAY, monkeypatch)
    assert (found["quiet_hours"], found["longest_pause_hours"]) == (10, 159)


async def test_a_young_connection_has_no_habits(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await told.gap(NOW, monkeypatch) is None
    await told.delivered(*office_hours(NOW - 2 * DAY))
    assert await told.gap(NOW, monkeypatch) is None
    await told.delivered(*(NOW - timedelta(minutes=minutes) for minutes in range(300)))
    assert await told.gap(NOW + 4 * DAY, monkeypatch) is None


async def test_two_pauses_are_no_habit(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    await told.delivered(*(NOW - days * DAY for days in (8, 4, 0)))
    assert await told.gap(NOW + 40 * DAY, monkeypatch) is None


async def test_hours_that_tell_nothing_more_are_forgotten(told: Told, database_url: str) -> None:
    await told.delivered(*office_hours(NOW - 29 * DAY), *office_hours(NOW - 28 * DAY))
    await told.delivered(*office_hours(NOW))
    await told.silent(NOW)
    state = cast(Any, told._api.service.state)
    async with state.counting._database.across_tenants() as tx:
        from sqlalchemy import text

        rows = await tx.execute(text("SELECT min(hour) FROM ingest.connection_hours"
                                     " WHERE tenant_id = :t"), {"t": told._api.tenant})  # fmt: skip
        assert rows.scalar_one() == NOW.replace(hour=8, minute=0) - 28 * DAY
