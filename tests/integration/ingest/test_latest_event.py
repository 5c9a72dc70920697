"""`last_event_at` of a connection: since when to reconcile, so never a time still to come."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from services.ingest.adapters.connection_counts import CountsWriter
from services.ingest.app.connection_counts import ConnectionCounts, Delivered
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.model import Connection
from tests.integration.ingest.conftest import Api
from tests.integration.ingest.connecting import put, standard

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 3, 16, 18, 30, tzinfo=UTC)
MINUTE, CENTURIES = timedelta(minutes=1), timedelta(days=60_000)


class Told:
    """A connection whose deliveries are counted as they may have been."""

    def __init__(self, api: Api, connection_id: str) -> None:
        state = cast(Any, api.service.state)
        self._live = Live(api.tenant, connection_id, "hubspot", Connection(connection_id))
        self._counts, self._api = ConnectionCounts(), api
        self._writer = CountsWriter(state.counting._database, self._counts, state.clock)

    async def delivered(self, at: datetime, event_at: datetime | None) -> None:
        self._counts.delivered(self._live, Delivered(at, 1, 0, 0, event_at))
        await self._writer.write()

    async def refused(self) -> None:
        self._counts.refused(self._live)
        await self._writer.write()

    async def latest(self) -> datetime | None:
        path = f"/v1/connections/{self._live.connection_id}"
        shown = (await self._api.client.get(path)).json()["last_event_at"]
        return None if shown is None else datetime.fromisoformat(shown)


@pytest.fixture
async def told(api: Api) -> Told:
    own = standard(api)
    await put(api, own)
    return Told(api, own)


async def test_the_latest_stays_whatever_comes_late(told: Told) -> None:
    for event_at in (NOW, NOW - MINUTE, None):
        await told.delivered(NOW, event_at)
        assert await told.latest() == NOW
    await told.delivered(NOW + MINUTE, NOW + MINUTE)
    assert await told.latest() == NOW + MINUTE


async def test_a_stored_one_that_is_to_come_gives_way_to_what_happened(told: Told) -> None:
    await told.delivered(NOW, NOW + CENTURIES)
    await told.refused()
    assert await told.latest() == NOW + CENTURIES
    await told.delivered(NOW + MINUTE, NOW)
    assert await told.latest() == NOW
    await told.delivered(NOW + 2 * MINUTE, NOW - MINUTE)
    assert await told.latest() == NOW


async def test_a_stored_one_that_is_to_come_is_no_longer_told_where_nothing_newer_is_known(
    told: Told,
) -> None:
    await told.delivered(NOW, NOW + CENTURIES)
    await told.delivered(NOW + MINUTE, None)
    assert await told.latest() is None


async def test_a_clock_some_seconds_ahead_is_no_reason_to_forget(told: Told) -> None:
    await told.delivered(NOW, NOW + timedelta(seconds=20))
    await told.delivered(NOW + timedelta(seconds=1), NOW)
    assert await told.latest() == NOW + timedelta(seconds=20)


async def test_counts_that_waited_to_be_written_put_nothing_back(told: Told) -> None:
    await told.delivered(NOW, NOW)
    await told.delivered(NOW - timedelta(hours=1), NOW - timedelta(hours=2))
    assert await told.latest() == NOW
