"""Quotas of events at every way in: exact answers, whole deliveries, tenants apart."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast, get_args

import httpx
import pytest

from libs.common.contracts.cloudevents import from_structured
from services.ingest.domain.crm.model import Connector, Kind, Translation
from services.ingest.settings import QuotaSettings
from tests.integration.ingest.connecting import (
    HUBSPOT_URL,
    body_of,
    deliver,
    put,
    signed,
    standard,
)
from tests.integration.ingest.fakes import ndjson, stage_event
from tests.integration.ingest.limiting import LimitedApi, limited

pytestmark = pytest.mark.postgres
QUOTA = 5


@pytest.fixture
async def api(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[LimitedApi]:
    tenant = "q" + format(abs(hash(request.node.name)), "x")
    quotas = QuotaSettings(
        quota_events=QUOTA, quotas={f"{tenant}-free": 0, f"{tenant}-small": 1}, quota_imports=2
    )
    async with limited(database_url, tmp_path, tenant, quotas) as running:
        yield running


def batch(name: str, events: int) -> list[dict[str, Any]]:
    return [stage_event(f"{name}-{n}") for n in range(events)]


async def send(client: httpx.AsyncClient, name: str, events: int) -> httpx.Response:
    return await client.post("/v1/events", json=batch(name, events))


async def test_events_are_counted_and_a_batch_is_refused_as_a_whole(api: LimitedApi) -> None:
    first = await send(api.client, "a", 3)
    assert first.status_code == 202
    assert first.headers["ratelimit-policy"] == '"events";q=5;w=60'
    assert first.headers["ratelimit"] == '"events";r=2;t=60'
    api.minute(20.5)
    over = await send(api.client, "b", 3)
    assert over.status_code == 429
    assert over.headers["content-type"] == "application/problem+json"
    assert over.headers["retry-after"] == "40"
    assert over.headers["ratelimit-policy"] == '"events";q=5;w=60'
    assert over.headers["ratelimit"] == '"events";r=2;t=40'
    problem = over.json()
    assert (problem["code"], problem["violated-policies"]) == ("quota_exceeded", ["events"])
    assert problem["type"] == "urn:headway:problem:quota_exceeded"
    assert api.log.ids == ["a-0", "a-1", "a-2"], "nothing of it"
    assert (await send(api.client, "c", 2)).headers["ratelimit"] == '"events";r=0;t=40'
    api.minute(39.5)
    again = await send(api.client, "b", 3)
    assert (again.status_code, again.json()["accepted"]) == (202, 3)


async def test_what_is_spent_is_refused_before_a_body_is_read(api: LimitedApi) -> None:
    assert (await send(api.client, "a", QUOTA)).status_code == 202

    headers = {"content-type": "application/json"}
    answer = await api.client.post("/v1/events", content=b"no JSON", headers=headers)
    assert answer.status_code == 429


async def test_rejected_events_and_duplicates_count_too(api: LimitedApi) -> None:
    assert (await api.post(stage_event("x", 7))).status_code == 422
    for _ in range(QUOTA - 1):
        assert (await api.post(stage_event("a"))).status_code == 202
    assert (await api.post(stage_event("a"))).status_code == 429


async def test_tenants_do_not_share_and_may_have_quotas_of_their_own(api: LimitedApi) -> None:
    assert (await send(api.client, "a", QUOTA)).status_code == 202
    assert (await send(api.client, "b", 1)).status_code == 429
    free = await api.new_tenant(f"{api.tenant}-free")
    answer = await send(free, "c", 50)
    assert (answer.status_code, "ratelimit" in answer.headers) == (202, False)
    small = await api.new_tenant(f"{api.tenant}-small")
    assert (await send(small, "d", 1)).headers["ratelimit-policy"] == '"events";q=1;w=60'
    assert (await send(small, "e", 1)).status_code == 429


async def test_what_could_not_be_kept_has_used_nothing(
    api: LimitedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = cast(Any, api.service.state)

    async def full(*_: object) -> None:
        raise TimeoutError

    with monkeypatch.context() as broken:
        broken.setattr(state.acceptor._placer, "place", full)
        for _ in range(3):
            assert (await send(api.client, "a", QUOTA)).status_code == 503
    answer = await send(api.client, "a", QUOTA)
    assert (answer.status_code, answer.headers["ratelimit"]) == (202, '"events";r=0;t=60')


SECRETS = {
    "pipedrive": "user:a-longer-password", "generic": "user:a-longer-password",
    "close": "00ff" * 16, "salesforce_outbound": "00D000000000001",
}  # fmt: skip
ANSWERS = {
    "hubspot": 429, "salesforce_cdc": 429, "standard_webhooks": 429, "generic": 429,
    "close": 503, "salesforce_outbound": 503, "espocrm": 503,
    "pipedrive": 202, "twenty": 202, "zoho": 202,
}  # fmt: skip


def telling(events: int) -> Connector:
    """Believes everybody, and finds as many events in whatever comes."""
    told = [from_structured(stage_event(f"w{n}")) for n in range(events)]
    return Connector(lambda *_: 0, lambda *_: Translation(events=told), signs_time=True)


@pytest.mark.parametrize("kind", get_args(Kind))
async def test_a_crm_over_its_tenants_quota_is_told_what_it_can_bear(
    api: LimitedApi, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    own = standard(api, kind.replace("_", "-"))
    monkeypatch.setattr(cast(Any, api.service.state).receiver, "_connectors", {kind: telling(2)})
    extra: dict[str, Any] = {"public_url": HUBSPOT_URL}
    if kind == "generic":
        mapping = {"kind": "json", "events": [{"type": "deal.created", "data": {"deal_id": "id"}}]}
        answer = await api.client.put("/v1/mappings/any", json=mapping)
        assert answer.status_code == 201, answer.text
        extra["mapping_id"] = "any"
    await put(api, own, kind=kind, secrets=[SECRETS.get(kind, "s" * 32)], **extra)
    assert (await send(api.client, "a", QUOTA - 1)).status_code == 202
    answer = await deliver(api, own, b"{}", {})
    assert answer.status_code == ANSWERS[kind], answer.text
    taken = ["w0", "w1"] if answer.status_code == 202 else []
    assert api.log.ids == [f"a-{n}" for n in range(QUOTA - 1)] + taken
    if not taken:
        assert answer.json()["code"] == "quota_exceeded"
        assert answer.headers["retry-after"] == "60"
        api.minute()
        assert (await deliver(api, own, b"{}", {})).is_success
    else:
        assert (await send(api.client, "b", 1)).status_code == 429, "it counts all the same"
        api.minute()
        assert (await send(api.client, "b", 1)).status_code == 202


async def test_a_delivery_that_is_not_proven_uses_nothing_of_a_tenants_quota(
    api: LimitedApi,
) -> None:
    own, body = standard(api), body_of()
    await put(api, own)
    for _ in range(QUOTA + 1):
        assert (await deliver(api, own, body, {})).status_code == 401
    assert (await deliver(api, own, body, signed(body))).status_code == 202
    standing = cast(Any, api.service.state).quotas.standing(api.tenant)
    assert standing.remaining == QUOTA - 1


async def test_imports_that_wait_are_counted_and_their_rows_are_not(api: LimitedApi) -> None:
    rows = 2 * QUOTA
    ids = []
    for name in ("i", "j"):
        answer = await upload(api.client, name, rows)
        assert answer.status_code == 202, answer.text
        ids.append(answer.json()["import_id"])
    over = await upload(api.client, "k", rows)
    assert (over.status_code, over.json()["code"]) == (429, "quota_exceeded")
    assert over.json()["violated-policies"] == ["imports"]
    assert over.headers["retry-after"] == "60"
    assert over.headers["ratelimit-policy"] == '"imports";q=2'
    assert over.headers["ratelimit"] == '"imports";r=0'
    other = await api.new_tenant(f"{api.tenant}-free")
    assert (await upload(other, "i", rows)).status_code == 202
    assert (await api.ended(ids[0]))["accepted"] == rows
    assert (await upload(api.client, "k", rows)).status_code == 202


async def upload(client: httpx.AsyncClient, name: str, rows: int) -> httpx.Response:
    """Rows of their own ids: two imports of the same rows would share what is accepted."""
    headers = {"content-type": "application/x-ndjson"}
    return await client.post("/v1/imports", content=ndjson(*batch(name, rows)), headers=headers)
