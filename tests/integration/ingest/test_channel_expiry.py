"""Channels that a CRM lets expire: when, by the connection's settings, and how soon the next."""

from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from services.ingest.adapters.connection_counts import CountsWriter
from services.ingest.app.connection_counts import ConnectionCounts
from tests.integration.ingest.conftest import Api
from tests.integration.ingest.connecting import put, standard

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ZOHO: dict[str, Any] = {"kind": "zoho", "secrets": ["a token of a channel, long enough"]}


def ahead(**duration: float) -> str:
    return (NOW + timedelta(**duration)).isoformat().replace("+00:00", "Z")


class Told:
    """What the metrics say of the connections of this test, and no others."""

    def __init__(self, api: Api) -> None:
        counting = cast(Any, api.service.state).counting
        self.database = counting._database
        self._writer = CountsWriter(self.database, ConnectionCounts(), counting._clock)

    async def at(self, now: datetime = NOW) -> tuple[float | None, float | None]:
        """Channels that have expired, and seconds until the next does."""
        await self._writer.look(now)
        return (
            REGISTRY.get_sample_value("headway_ingest_channels_expired"),
            REGISTRY.get_sample_value("headway_ingest_channel_expiry_seconds"),
        )


@pytest.fixture
async def told(api: Api) -> Told:
    found = Told(api)
    async with found.database.across_tenants() as tx:
        await tx.execute(text("UPDATE ingest.connections SET deleted = true"))
    return found


async def shown(api: Api, connection_id: str) -> dict[str, Any]:
    return dict((await api.client.get(f"/v1/connections/{connection_id}")).json())


async def test_the_expiry_is_set_shown_and_renewed(api: Api) -> None:
    own = standard(api)
    first = await put(api, own, **ZOHO, channel_expires_at=ahead(days=7))
    assert (await shown(api, own))["channel_expires_at"] == ahead(days=7)
    renewed = {"kind": "zoho", "channel_expires_at": ahead(days=14)}
    etag = {"If-Match": first.headers["ETag"]}
    answer = await api.client.put(f"/v1/connections/{own}", json=renewed, headers=etag)
    assert answer.status_code == 200, answer.text
    assert (await shown(api, own))["channel_expires_at"] == ahead(days=14)
    (listed,) = (await api.client.get("/v1/connections")).json()["items"]
    assert (listed["channel_expires_at"], listed["version"]) == (ahead(days=14), 2)


async def test_without_one_nothing_is_said(api: Api, told: Told) -> None:
    await put(api, standard(api), **ZOHO)
    assert (await shown(api, standard(api)))["channel_expires_at"] is None
    assert await told.at() == (0, inf)


@pytest.mark.parametrize("wrong", ["soon", 7, "2026-03-02", "2026-03-02T09:00:00"])
async def test_what_is_no_instant_is_refused(api: Api, wrong: Any) -> None:
    body = ZOHO | {"channel_expires_at": wrong}
    refused = await api.client.put(f"/v1/connections/{standard(api)}", json=body)
    assert refused.status_code == 422
    assert [one["pointer"] for one in refused.json()["errors"]] == ["/channel_expires_at"]


async def test_only_kinds_whose_channels_expire_have_one(api: Api) -> None:
    body = {"kind": "pipedrive", "secrets": ["a:" + "b" * 16], "channel_expires_at": ahead(days=1)}
    refused = await api.client.put(f"/v1/connections/{standard(api)}", json=body)
    assert refused.status_code == 422
    assert [one["pointer"] for one in refused.json()["errors"]] == ["/channel_expires_at"]


async def test_the_next_that_expires_is_told_and_those_that_have(api: Api, told: Told) -> None:
    """One that expired long ago and is left so does not hide the next."""
    await put(api, standard(api, "gone"), **ZOHO, channel_expires_at=ahead(days=-90))
    await put(api, standard(api, "later"), **ZOHO, channel_expires_at=ahead(days=5))
    await put(api, standard(api, "next"), **ZOHO, channel_expires_at=ahead(hours=20))
    await put(api, standard(api, "never"), **ZOHO)
    assert await told.at() == (1, 20 * 3_600)
    assert await told.at(NOW + timedelta(hours=20)) == (2, 100 * 3_600)
    assert await told.at(NOW + timedelta(days=5)) == (3, inf)


async def test_a_deleted_connection_expires_no_more(api: Api, told: Told) -> None:
    await put(api, standard(api), **ZOHO, channel_expires_at=ahead(days=-1))
    assert await told.at() == (1, inf)
    await api.client.delete(f"/v1/connections/{standard(api)}")
    assert await told.at() == (0, inf)
