"""Two secrets at once: which of them proves deliveries, since when each is live, when one ends."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import pytest
from prometheus_client import REGISTRY

from libs.common.clock import Clock
from services.ingest.domain.crm.model import Kind
from services.ingest.domain.crm.registry import CONNECTORS
from tests.integration.ingest.conftest import Api
from tests.integration.ingest.connecting import (
    HUBSPOT_URL,
    KEY,
    NEW_KEY,
    body_of,
    deliver,
    espocrm_signed,
    gap_of,
    hubspot_signed,
    hubspot_v3,
    put,
    signed,
    standard,
)

pytestmark = pytest.mark.postgres
STANDARD = {"kind": "standard_webhooks"}


async def shown(api: Api, connection_id: str) -> dict[str, Any]:
    await cast(Any, api.service.state).counting.stop()  # writes all, and nobody else does after
    return dict((await api.client.get(f"/v1/connections/{connection_id}")).json())


async def change(api: Api, connection_id: str, **body: Any) -> dict[str, Any]:
    path = f"/v1/connections/{connection_id}"
    tag = (await api.client.get(path)).headers["etag"]
    answer = await api.client.put(path, json=STANDARD | body, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def sent(api: Api, connection_id: str, key: str, message: str) -> int:
    body = body_of(name=message)
    return (await deliver(api, connection_id, body, signed(body, key, message))).status_code


def proven(secret: str) -> float:
    labels = {"source": "standard_webhooks", "secret": secret}
    return REGISTRY.get_sample_value("headway_ingest_deliveries_proven_total", labels) or 0


async def test_an_operator_sees_when_the_old_secret_is_no_longer_used(api: Api) -> None:
    own = standard(api)
    (first,) = (await put(api, own)).json()["secrets"]
    assert (first["expires_at"], first["last_matched_at"]) == (None, None)
    assert await sent(api, own, KEY, "m1") == 202
    (used,) = (await shown(api, own))["secrets"]
    assert used["added_at"] == first["added_at"] < used["last_matched_at"]

    newest, old = (await change(api, own, secrets=[NEW_KEY, KEY]))["secrets"]
    assert old == used, "what is known of a secret that stays is kept"
    assert newest["added_at"] > old["added_at"]
    assert newest["last_matched_at"] is None
    before = proven("newest"), proven("old")
    assert [await sent(api, own, key, f"o{key}"[:9]) for key in (KEY, NEW_KEY)] == [202, 202]
    both = (await shown(api, own))["secrets"]
    assert both[0]["last_matched_at"] > both[1]["last_matched_at"] > used["last_matched_at"]
    assert (proven("newest"), proven("old")) == (before[0] + 1, before[1] + 1)

    assert await sent(api, own, NEW_KEY, "m3") == 202
    later = (await shown(api, own))["secrets"]
    assert later[1] == both[1], "the old one proves nothing more"
    assert later[0]["last_matched_at"] > both[0]["last_matched_at"]

    (only,) = (await change(api, own, secrets=[NEW_KEY]))["secrets"]
    assert only == later[0]
    assert await sent(api, own, KEY, "m4") == 401
    assert (await shown(api, own))["secrets"] == [only]


async def test_an_overlap_refuses_nothing_that_is_valid(api: Api) -> None:
    own = standard(api)
    await put(api, own)
    steps: list[tuple[list[str], str]] = [
        ([KEY], KEY), ([NEW_KEY, KEY], KEY), ([NEW_KEY, KEY], NEW_KEY), ([NEW_KEY], NEW_KEY),
    ]  # fmt: skip
    answers = []
    for number, (secrets, key) in enumerate(steps):
        await change(api, own, secrets=secrets)
        answers += [await sent(api, own, key, f"s{number}x{count}") for count in range(5)]
    assert set(answers) == {202}
    assert (await shown(api, own))["counts"]["refused"] == 0


async def test_an_old_secret_ends_by_itself(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    own = standard(api)
    await put(api, own)
    ends = datetime.now(UTC) + timedelta(seconds=200)
    changed = await change(api, own, secrets=[NEW_KEY, KEY], old_secret_expires_at=ends.isoformat())
    newest, old = changed["secrets"]
    assert (newest["expires_at"], datetime.fromisoformat(old["expires_at"])) == (None, ends)
    assert await sent(api, own, KEY, "m1") == 202

    class Later:
        def __getattr__(self, name: str) -> Any:
            return getattr(clock, name)

        def now(self) -> datetime:
            return ends

    clock = cast(Clock, cast(Any, api.service.state).clock)
    monkeypatch.setattr(type(api.service.state), "clock", Later())
    assert await sent(api, own, KEY, "m2") == 401
    assert await sent(api, own, NEW_KEY, "m3") == 202


async def test_the_same_settings_again_make_no_version(api: Api) -> None:
    own = standard(api)
    await put(api, own)
    ends = {"old_secret_expires_at": "2030-01-01T01:00:00+01:00"}
    first = await change(api, own, secrets=[NEW_KEY, KEY], **ends)
    again = await change(api, own, secrets=[NEW_KEY, KEY], **ends)
    assert (first["version"], again["version"]) == (2, 2)
    assert again["old_secret_expires_at"] == "2030-01-01T00:00:00Z"


async def test_a_deleted_connection_begins_anew(api: Api) -> None:
    own = standard(api)
    await put(api, own)
    await sent(api, own, KEY, "m1")
    await shown(api, own)
    await api.client.delete(f"/v1/connections/{own}")
    (fresh,) = (await put(api, own)).json()["secrets"]
    assert fresh["last_matched_at"] is None


SIGNED_TIME: Mapping[Kind, bool] = {
    "hubspot": True, "pipedrive": False, "close": True, "zoho": False, "salesforce_cdc": True,
    "salesforce_outbound": False, "twenty": True, "espocrm": False, "standard_webhooks": True,
    "generic": False,
}  # fmt: skip


def test_it_is_known_of_every_kind_whether_it_signs_a_time() -> None:
    assert {kind: one.signs_time for kind, one in CONNECTORS.items()} == SIGNED_TIME


@pytest.mark.parametrize("kind", ["standard_webhooks", "hubspot", "espocrm"])
async def test_a_connection_tells_how_strong_its_proof_is(api: Api, kind: Kind) -> None:
    """A replay is refused by its age where the time is signed, else it is only without effect."""
    own, secret = standard(api, kind.replace("_", "-")), KEY
    signs = SIGNED_TIME[kind] and kind != "hubspot"  # of which it is learned from deliveries
    guard = "signed_time" if signs else "dedup_only"
    url = HUBSPOT_URL if kind == "hubspot" else None
    made = await put(api, own, kind=kind, secrets=[secret], public_url=url)
    assert made.json()["replay_guard"] == guard
    (listed,) = (await api.client.get("/v1/connections")).json()["items"]
    assert listed["replay_guard"] == guard
    body = gap_of("x") if kind == "hubspot" else body_of()
    if kind == "espocrm":
        replays = [await deliver(api, own, body, espocrm_signed(body, secret)) for _ in range(2)]
        assert replays[0].status_code == replays[1].status_code == 202
    else:
        headers = signed(body, age=301) if url is None else hubspot_v3(body, secret, age=301)
        old = await deliver(api, own, body, headers)
        assert (old.status_code, old.json()["code"]) == (401, "stale")


HUB: dict[str, Any] = {"kind": "hubspot", "secrets": [KEY], "public_url": HUBSPOT_URL}


@pytest.mark.parametrize(
    ("asked", "guard", "answer"),
    [
        (None, "signed_time", (503, "connection_incomplete")),
        ("v3", "signed_time", (401, "signature_missing")),
        ("v2", "dedup_only", (401, "signature_missing")),
        ("v1", "dedup_only", (202, None)),
    ],
)
async def test_a_captured_delivery_of_hubspot_without_its_signed_time(
    api: Api, asked: str | None, guard: str, answer: tuple[int, str | None]
) -> None:
    """An older signature beside it signs no time. One that the owner has not said to be too weak
    may be all that the app has by now, and HubSpot ends what is answered 401."""
    own, body = standard(api, "hub"), gap_of("x")
    await put(api, own, **HUB, weakest_signature=asked)
    met = hubspot_signed(body, KEY) | hubspot_v3(body, KEY)
    assert (await deliver(api, own, body, met)).status_code == 202
    made = await shown(api, own)
    assert (made["weakest_signature"], made["replay_guard"]) == (asked, guard)
    captured = hubspot_signed(body, KEY) | hubspot_v3(body, KEY, age=301)
    stale = await deliver(api, own, body, captured)
    assert (stale.status_code, stale.json()["code"]) == (401, "stale")
    for dropped in ("x-hubspot-signature-v3", "x-hubspot-request-timestamp"):
        captured.pop(dropped)
        told = await deliver(api, own, body, captured)
        assert (told.status_code, told.json().get("code")) == answer
    assert ("retry-after" in told.headers) is (told.status_code == 503)
    whole = hubspot_signed(body, KEY) | hubspot_v3(body, KEY)
    assert (await deliver(api, own, body, whole)).status_code == 202


async def test_an_app_that_signs_by_version_1_alone_loses_nothing(
    api: Api, database_url: str
) -> None:
    """Also on a connection of an earlier release, which has no such setting. Once it has signed by
    version 3 its owner has to say that it no longer does."""
    own, body = standard(api, "hub"), gap_of("x")
    made = await put(api, own, **HUB)
    await forget_setting(database_url, own, "weakest_signature")
    cast(Any, api.service.state).lookup.forget(own)
    assert (await deliver(api, own, body, hubspot_signed(body, KEY))).status_code == 202
    assert (await deliver(api, own, body, hubspot_v3(body, KEY))).status_code == 202
    assert (await shown(api, own))["signature_seen"] == "v3"
    refused = await deliver(api, own, body, hubspot_signed(body, KEY))
    assert (refused.status_code, refused.json()["code"]) == (503, "connection_incomplete")
    assert "put weakest_signature v1" in refused.json()["detail"]
    path, headers = f"/v1/connections/{own}", {"If-Match": made.headers["etag"]}
    assert (await api.client.get(path)).json()["weakest_signature"] is None
    said = await api.client.put(path, json=HUB | {"weakest_signature": "v1"}, headers=headers)
    assert (said.status_code, said.json()["version"]) == (200, 2)
    assert (await deliver(api, own, body, hubspot_signed(body, KEY))).status_code == 202


async def forget_setting(database_url: str, connection_id: str, name: str) -> None:
    admin = await asyncpg.connect(database_url)
    try:
        await admin.execute(
            "UPDATE ingest.connections SET definition = (definition::jsonb - $2::text)::json"
            " WHERE connection_id = $1", connection_id, name,
        )  # fmt: skip
    finally:
        await admin.close()
