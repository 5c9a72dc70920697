"""A connection of HubSpot learns that its app signs by version 3, and asks for it from then on."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import asyncpg
import httpx
import pytest

from services.ingest.adapters.connection_lookup import FRESH
from services.ingest.app.ports import IndexUnavailable
from tests.integration.ingest.conftest import SETTINGS, Api, _client, resources, running
from tests.integration.ingest.connecting import (
    HUBSPOT_URL,
    KEY,
    deliver,
    gap_of,
    hubspot_signed,
    hubspot_v3,
    put,
    standard,
)
from tests.integration.ingest.fakes import ScriptedLog

pytestmark = pytest.mark.postgres
HUB: dict[str, Any] = {"kind": "hubspot", "secrets": [KEY], "public_url": HUBSPOT_URL}
BODY = gap_of("x")
OLDER: Mapping[str, str] = hubspot_signed(BODY, KEY)
LACKS = (503, "connection_incomplete")


def whole() -> dict[str, str]:
    """As HubSpot sends: an older version beside the third."""
    return {**OLDER, **hubspot_v3(BODY, KEY)}


def state(api: Api) -> Any:
    return cast(Any, api.service.state)


@pytest.fixture(autouse=True)
async def nobody_else_writes(api: Api) -> None:
    """What was learned is written when a test says so, and then all of it."""
    await state(api).counting.stop()


async def told(api: Api, own: str, headers: Mapping[str, str]) -> tuple[int, str | None]:
    answer = await deliver(api, own, BODY, dict(headers))
    return answer.status_code, answer.json().get("code")


async def guard(api: Api, own: str) -> tuple[str | None, str]:
    shown = (await api.client.get(f"/v1/connections/{own}")).json()
    return shown["signature_seen"], shown["replay_guard"]


async def learning(api: Api) -> str:
    """A connection that has met version 3, in all that this process knows and keeps."""
    own = standard(api, "hub")
    await put(api, own, **HUB)
    assert await told(api, own, whole()) == (202, None)
    await state(api).counting.write()
    return own


async def change(api: Api, own: str, **changes: Any) -> httpx.Response:
    path = f"/v1/connections/{own}"
    tag = (await api.client.get(path)).headers["etag"]
    answer = await api.client.put(path, json=HUB | changes, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_downgrade_is_taken_before_the_third_version_was_met_and_not_after(
    api: Api,
) -> None:
    own = standard(api, "hub")
    made = (await put(api, own, **HUB)).json()
    assert (made["signature_seen"], made["replay_guard"]) == (None, "dedup_only")
    assert await told(api, own, OLDER) == (202, None)
    await state(api).counting.write()
    assert await guard(api, own) == (None, "dedup_only")
    assert await told(api, own, whole()) == (202, None)
    await state(api).counting.write()
    assert await guard(api, own) == ("v3", "signed_time")
    refused = await deliver(api, own, BODY, dict(OLDER))
    assert (refused.status_code, refused.json()["code"]) == LACKS
    assert "put weakest_signature v1" in refused.json()["detail"]
    assert refused.headers["retry-after"]
    assert await told(api, own, whole()) == (202, None)
    (listed,) = (await api.client.get("/v1/connections")).json()["items"]
    assert (listed["signature_seen"], listed["replay_guard"]) == ("v3", "signed_time")
    sample = {"body": BODY.decode(), "headers": dict(OLDER)}
    tried = await api.client.post(f"/v1/connections/{own}/test", json=sample)
    assert tried.json()["proof"]["code"] == "connection_incomplete"


async def test_a_wrong_third_version_teaches_nothing(api: Api) -> None:
    own = standard(api, "hub")
    await put(api, own, **HUB)
    for wrong in (hubspot_v3(BODY, "another"), hubspot_v3(BODY, KEY, age=301)):
        assert (await told(api, own, {**OLDER, **wrong}))[0] == 401
    await state(api).counting.write()
    assert await guard(api, own) == (None, "dedup_only")
    assert await told(api, own, OLDER) == (202, None)


@asynccontextmanager
async def another(api: Api, url: str, folder: Path) -> AsyncIterator[Api]:
    """Another process of the same installation, or this one after a restart."""
    built = resources(url, folder, ScriptedLog(), "p2")
    async with running(built, SETTINGS) as (service, transport):
        yield Api(service, None, api.operator, _client(transport, None), api.tenant, transport)


async def test_what_was_learned_outlives_the_process(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    own = await learning(api)
    async with another(api, database_url, tmp_path / "next") as started:
        assert await told(started, own, OLDER) == LACKS
        assert await told(started, own, whole()) == (202, None)


class Later:
    """The clock of a process, told to be ahead."""

    def __init__(self, clock: Any, by: timedelta) -> None:
        self._clock, self._by = clock, by

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def now(self) -> datetime:
        return cast(datetime, self._clock.now()) + self._by


async def test_every_process_follows_within_the_time_that_connections_are_remembered(
    api: Api, database_url: str, tmp_path: Path
) -> None:
    own = standard(api, "hub")
    await put(api, own, **HUB)
    async with another(api, database_url, tmp_path / "second") as second:
        assert await told(second, own, OLDER) == (202, None)
        assert await told(api, own, whole()) == (202, None)
        await state(api).counting.write()
        lookup = state(second).lookup
        lookup._clock = Later(lookup._clock, FRESH)
        assert await told(second, own, OLDER) == LACKS


async def test_a_change_of_other_settings_forgets_nothing(api: Api) -> None:
    own = await learning(api)
    for changes in ({"id_prefix": "hs-"}, {"weakest_signature": "v3"}, {}):
        shown = (await change(api, own, **changes)).json()
        assert (shown["signature_seen"], shown["replay_guard"]) == ("v3", "signed_time")
    assert await told(api, own, OLDER) == LACKS


async def test_an_owner_who_takes_an_older_version_has_it_learned_anew(api: Api) -> None:
    own = await learning(api)
    shown = (await change(api, own, weakest_signature="v1")).json()
    assert (shown["signature_seen"], shown["replay_guard"]) == (None, "dedup_only")
    assert await told(api, own, whole()) == (202, None)
    await state(api).counting.write()
    assert await guard(api, own) == (None, "dedup_only")
    assert (await change(api, own)).json()["signature_seen"] is None
    assert await told(api, own, OLDER) == (202, None)


async def test_another_url_is_learned_anew_whatever_waits_of_the_old_one(api: Api) -> None:
    own = await learning(api)
    await change(api, own, public_url=HUBSPOT_URL + "?other")
    await change(api, own)
    assert await told(api, own, whole()) == (202, None)
    await change(api, own, public_url=HUBSPOT_URL + "?other")
    await state(api).counting.write()
    assert await guard(api, own) == (None, "dedup_only")
    assert await told(api, own, OLDER) == (202, None)


async def test_a_deleted_connection_has_learned_nothing(api: Api) -> None:
    own = await learning(api)
    await api.client.delete(f"/v1/connections/{own}")
    assert (await put(api, own, **HUB)).json()["signature_seen"] is None
    assert await told(api, own, OLDER) == (202, None)


async def test_it_is_written_once(api: Api, database_url: str) -> None:
    own = await learning(api)
    written = await row_written(database_url, own)
    for _ in range(3):
        assert await told(api, own, whole()) == (202, None)
        await state(api).counting.write()
    state(api).lookup.forget(own)
    assert await told(api, own, whole()) == (202, None)
    await state(api).counting.write()
    assert await row_written(database_url, own) == written


async def test_what_could_not_be_written_is_written_later(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery is taken all the same."""
    own, counting = standard(api, "hub"), state(api).counting
    await put(api, own, **HUB)

    def away() -> Any:
        raise OSError("no database")

    with monkeypatch.context() as broken:
        broken.setattr(counting._database, "across_tenants", away)
        assert await told(api, own, whole()) == (202, None)
        with pytest.raises(IndexUnavailable):
            await counting.write()
        assert await guard(api, own) == (None, "dedup_only")
    await counting.write()
    assert await guard(api, own) == ("v3", "signed_time")


async def row_written(database_url: str, own: str) -> int:
    """The transaction that wrote the connection's row last."""
    admin = await asyncpg.connect(database_url)
    try:
        return int(
            await admin.fetchval(
                "SELECT xmin::text::bigint FROM ingest.connections WHERE connection_id = $1", own
            )
        )
    finally:
        await admin.close()
