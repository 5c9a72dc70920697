"""Tenants and API keys over HTTP: limits, secrets, walls, the audit trail."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from libs.common.clock import SystemClock
from libs.common.db.database import Database
from libs.common.web.auth import hash_of
from services.ingest.app.bootstrap_keys import ensure_operator_key
from tests.integration.ingest.conftest import PEPPER, Api, operator_key
from tests.integration.ingest.fakes import stage_event

pytestmark = pytest.mark.postgres
WHOLE = {
    "name": "Acme",
    "timezone": "Europe/Berlin",
    "currency": "CHF",
    "fiscal_year_start_month": 4,
    "week_start": "sunday",
    "sandbox": False,
}


async def test_a_tenant_gets_an_admin_key_that_works(api: Api) -> None:
    tenant_id = api.tenant + "-new"
    answer = await api.operator.post("/v1/tenants", json={"id": tenant_id} | WHOLE)
    assert answer.status_code == 201
    made = answer.json()
    created_at = datetime.fromisoformat(made["tenant"].pop("created_at"))
    assert datetime.now(UTC) - created_at < timedelta(minutes=5)
    assert made["tenant"] == {"id": tenant_id} | WHOLE
    client = api.with_key(made["api_key"])
    assert (await client.get("/v1/tenants/self")).json()["id"] == tenant_id
    assert (await client.post("/v1/events", json=stage_event("1"))).status_code == 202


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"id": "Acme"}, "/id"),
    ({"id": "_operator"}, "/id"),
    ({"id": ""}, "/id"),
    ({"id": "a\n"}, "/id"),
    ({"id": "a" * 64}, "/id"),
    ({"id": 7}, "/id"),
    ({"id": "ok", "timezone": "Mars/Olympus"}, "/timezone"),
    ({"id": "ok", "timezone": "../../etc/passwd"}, "/timezone"),
    ({"id": "ok", "currency": "XYZ"}, "/currency"),
    ({"id": "ok", "fiscal_year_start_month": 13}, "/fiscal_year_start_month"),
    ({"id": "ok", "fiscal_year_start_month": 0}, "/fiscal_year_start_month"),
    ({"id": "ok", "fiscal_year_start_month": True}, "/fiscal_year_start_month"),
    ({"id": "ok", "week_start": "noday"}, "/week_start"),
    ({"id": "ok", "sandbox": "no"}, "/sandbox"),
    ({"id": "ok", "name": "a\x00b"}, "/name"),
    ({"id": "ok", "name": ""}, "/name"),
    ({"id": "ok", "owner": "me"}, "/owner"),
    ({}, "/id"),
]


@pytest.mark.parametrize(("body", "pointer"), REFUSED)
async def test_a_tenant_that_does_not_fit_is_refused(
    api: Api, body: dict[str, Any], pointer: str
) -> None:
    answer = await api.operator.post("/v1/tenants", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_taken_id_is_409(api: Api) -> None:
    answer = await api.operator.post("/v1/tenants", json={"id": api.tenant})
    assert (answer.status_code, answer.json()["code"]) == (409, "id_taken")


async def test_a_sandbox_says_that_it_is_one(api: Api) -> None:
    id_ = f"{api.tenant}-sand"
    made = await api.operator.post("/v1/tenants", json={"id": id_, "sandbox": True})
    assert (made.status_code, made.json()["tenant"]["sandbox"]) == (201, True)
    listed = (await api.operator.get("/v1/tenants", params={"limit": 500})).json()["items"]
    assert {t["id"]: t["sandbox"] for t in listed}.items() >= {id_: True, api.tenant: False}.items()


async def test_only_operators_make_and_list_tenants(api: Api) -> None:
    assert (await api.client.post("/v1/tenants", json={"id": "x"})).status_code == 403
    assert (await api.client.get("/v1/tenants")).status_code == 403
    assert (await api.operator.get("/v1/tenants/self")).status_code == 404


async def test_tenants_are_listed_in_pages(api: Api) -> None:
    made = {api.tenant} | {f"{api.tenant}-{n}" for n in range(3)}
    for tenant_id in made - {api.tenant}:
        await api.new_tenant(tenant_id)
    seen, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await api.operator.get("/v1/tenants", params=params)).json()
        seen += [tenant["id"] for tenant in page["items"]]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            break
    assert made <= set(seen)
    assert len(set(seen)) == len(seen)
    assert (await api.operator.get("/v1/tenants?cursor=rubbish")).status_code == 400


async def test_a_key_is_shown_once_and_kept_as_a_keyed_hash(api: Api, database_url: str) -> None:
    body = {"name": "ci", "scopes": ["events:write"], "expires_at": "2199-01-01T00:00:00Z"}
    made = (await api.client.post("/v1/api-keys", json=body)).json()
    plain = made.pop("key")
    listed = (await api.client.get("/v1/api-keys")).json()["items"]
    assert made in listed
    assert plain not in str(listed)
    database = Database(database_url, "headway_ingest_worker", pool_size=1)
    async with database.across_tenants() as tx:
        stored = await tx.scalar(
            text("SELECT key_hash FROM ingest.api_keys WHERE key_id = :id"), {"id": made["id"]}
        )
        audits = await tx.execute(
            text("SELECT action, object, before, after FROM ingest.audit WHERE tenant_id = :t"),
            {"t": api.tenant},
        )
        trail = [tuple(row) for row in audits]
    await database.close()
    assert bytes(stored or b"") == hash_of(plain, PEPPER)
    assert plain.split("_", 2)[2] not in str(trail)
    assert [row[0] for row in trail] == ["tenant.created", "api_key.created", "api_key.created"]


async def test_a_revoked_key_stays_listed_and_is_audited(api: Api, database_url: str) -> None:
    made = (
        await api.client.post("/v1/api-keys", json={"name": "x", "scopes": ["deals:read"]})
    ).json()
    for _ in range(2):
        assert (await api.client.delete(f"/v1/api-keys/{made['id']}")).status_code == 204
    listed = {key["id"]: key for key in (await api.client.get("/v1/api-keys")).json()["items"]}
    assert listed[made["id"]]["revoked_at"] is not None
    assert (await api.with_key(made["key"]).get("/v1/tenants/self")).status_code == 401
    database = Database(database_url, "headway_ingest_worker", pool_size=1)
    async with database.across_tenants() as tx:
        count = await tx.scalar(
            text("SELECT count(*) FROM ingest.audit WHERE object = :o AND before IS NOT NULL"),
            {"o": made["id"]},
        )
    await database.close()
    assert count == 1


async def test_keys_of_other_tenants_are_not_there(api: Api) -> None:
    made = (await api.client.post("/v1/api-keys", json={"name": "x", "scopes": ["admin"]})).json()
    rival = await api.new_tenant(api.tenant + "-rival")
    assert (await rival.delete(f"/v1/api-keys/{made['id']}")).status_code == 404
    assert made["id"] not in str((await rival.get("/v1/api-keys")).json())
    assert (await api.with_key(made["key"]).get("/v1/api-keys")).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "x", "scopes": ["operator"]}, "/scopes"),
        ({"name": "x", "scopes": ["root"]}, "/scopes"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x"}, "/scopes"),
        ({"name": "x", "scopes": ["admin"], "tenant_id": "rival"}, "/tenant_id"),
        ({"name": "x", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": "x", "scopes": ["admin"], "expires_at": 5}, "/expires_at"),
    ],
)
async def test_a_key_that_does_not_fit_is_refused(
    api: Api, body: dict[str, Any], pointer: str
) -> None:
    answer = await api.client.post("/v1/api-keys", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_keys_are_for_admins(api: Api) -> None:
    body = {"name": "w", "scopes": ["config:write", "events:write"]}
    key = (await api.client.post("/v1/api-keys", json=body)).json()["key"]
    limited = api.with_key(key)
    assert (await limited.get("/v1/api-keys")).status_code == 403
    assert (await limited.post("/v1/api-keys", json=body)).status_code == 403


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"id":"\\ud800"}', b'{"\\ud800":1}', b"[" * 1000]
)
async def test_hostile_commands_are_refused(api: Api, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    for path in ("/v1/tenants", "/v1/api-keys"):
        client = api.operator if path == "/v1/tenants" else api.client
        answer = await client.post(path, content=body, headers=headers)
        assert answer.status_code in (400, 422), (path, answer.text)


async def test_a_large_command_is_413(api: Api) -> None:
    answer = await api.client.post("/v1/api-keys", json={"name": "x" * 100_000})
    assert answer.status_code == 413


async def test_there_is_one_operator_key(api: Api, database_url: str) -> None:
    await operator_key(database_url)
    assert await ensure_operator_key(database_url, PEPPER, SystemClock()) is None
