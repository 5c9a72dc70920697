"""`/v1/connections` over HTTP: versions, conditions, ids over all tenants, secrets that stay."""

import json
from typing import Any

import asyncpg
import pytest

from services.ingest.adapters.sealing import CannotOpen, Sealer
from services.ingest.entrypoints import connections_complete
from tests.integration.ingest.conftest import Api
from tests.integration.ingest.connecting import KEY, NEW_KEY, put, standard

pytestmark = pytest.mark.postgres
CANARY = "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5IQ=="
WHOLE: dict[str, Any] = {
    "kind": "standard_webhooks",
    "pipeline_map": {"7": "b2b"},
    "stage_map": {"42": "proposal"},
    "field_map": {"Amount": "amount", "Seats": "attributes.seats"},
    "id_prefix": "hs-",
    "public_url": "https://crm.example/v1/webhooks/x?event=a",
}


def path_of(connection_id: str) -> str:
    return f"/v1/connections/{connection_id}"


async def test_a_connection_is_made_shown_replaced_and_listed(api: Api) -> None:
    own = standard(api)
    made = await put(api, own, **WHOLE)
    shown = made.json()
    assert {name: shown[name] for name in WHOLE} == WHOLE
    assert (shown["id"], shown["version"], shown["live_secrets"]) == (own, 1, 1)
    assert shown["needs_refresh"] == {"count": 0, "records": []}
    assert (shown["gap"], shown["last_event_at"], shown["last_delivery_at"]) == (None, None, None)
    read = await api.client.get(path_of(own))
    assert (read.json(), read.headers["etag"]) == (shown, made.headers["etag"])
    again = await api.client.put(
        path_of(own), json=WHOLE | {"id_prefix": "x-"}, headers={"If-Match": made.headers["etag"]}
    )
    assert (again.status_code, again.json()["version"]) == (200, 2)
    assert (again.json()["id_prefix"], again.json()["live_secrets"]) == ("x-", 1)
    assert again.headers["etag"] != made.headers["etag"]
    listed = (await api.client.get("/v1/connections")).json()["items"]
    assert [(one["id"], one["id_prefix"]) for one in listed] == [(own, "x-")]


async def test_what_changes_nothing_makes_no_version(api: Api) -> None:
    own = standard(api)
    tag = {"If-Match": (await put(api, own, **WHOLE)).headers["etag"]}
    for body in (WHOLE, WHOLE | {"secrets": [KEY]}):
        same = await api.client.put(path_of(own), json=body, headers=tag)
        assert (same.status_code, same.json()["version"]) == (200, 1)
    changed = await api.client.put(
        path_of(own), json=WHOLE | {"secrets": [NEW_KEY, KEY]}, headers=tag
    )
    assert (changed.json()["version"], changed.json()["live_secrets"]) == (2, 2)


async def test_replacing_asks_for_the_version_that_was_seen(api: Api) -> None:
    own = standard(api)
    tag = (await put(api, own)).headers["etag"]
    body = {"kind": "standard_webhooks"}
    blind = await api.client.put(path_of(own), json=body)
    assert blind.status_code == 428
    stale = await api.client.put(path_of(own), json=body, headers={"If-Match": '"x"'})
    assert stale.status_code == 412
    fresh = standard(api, "other")
    early = await api.client.put(path_of(fresh), json=body | {"secrets": [KEY]},
                                 headers={"If-Match": tag})  # fmt: skip
    assert early.status_code == 412


async def test_an_id_is_one_tenants_for_good(api: Api) -> None:
    own = standard(api)
    await put(api, own)
    other = await api.new_tenant(api.tenant + "-other")
    body = {"kind": "standard_webhooks", "secrets": [KEY]}
    for _ in range(2):  # while it is there, and once it has been deleted
        taken = await other.put(path_of(own), json=body)
        assert (taken.status_code, taken.json()["code"]) == (409, "id_taken")
        await api.client.delete(path_of(own))
    for method, path in (
        ("GET", path_of(own)),
        ("DELETE", path_of(own)),
        ("GET", path_of(own) + "/versions"),
        ("GET", path_of(own) + "/refreshes"),
    ):
        assert (await other.request(method, path)).status_code == 404, path
    assert (await other.get("/v1/connections")).json()["items"] == []


async def test_anothers_connection_is_not_there(api: Api) -> None:
    own = standard(api)
    await put(api, own)
    other = await api.new_tenant(api.tenant + "-other")
    sample = await other.post(path_of(own) + "/test", json={"body": {}})
    read = {"records": [{"entity": "deal", "record_id": "1"}]}
    done = await other.post(path_of(own) + "/refreshes/done", json=read)
    assert (sample.status_code, done.status_code) == (404, 404)
    assert (await other.delete(path_of(own))).status_code == 404
    assert (await api.client.get(path_of(own))).status_code == 200


async def test_a_deleted_connection_goes_on_in_its_versions(api: Api) -> None:
    own = standard(api)
    first = await put(api, own, id_prefix="a-")
    assert (await api.client.delete(path_of(own))).status_code == 204
    assert (await api.client.get(path_of(own))).status_code == 404
    assert (await api.client.delete(path_of(own))).status_code == 404
    bare = await api.client.put(path_of(own), json={"kind": "standard_webhooks"})
    assert bare.status_code == 422, "its secrets are gone"
    second = await put(api, own, id_prefix="b-")
    assert second.json()["version"] == 3
    assert second.headers["etag"] != first.headers["etag"]
    told = (await api.client.get(path_of(own) + "/versions?limit=2")).json()
    assert [(v["version"], v["deleted"], v["id_prefix"]) for v in told["items"]] == [
        (3, False, "b-"),
        (2, True, "a-"),
    ]
    rest = await api.client.get(path_of(own) + f"/versions?cursor={told['next_cursor']}")
    assert [v["version"] for v in rest.json()["items"]] == [1]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"kind": "fax"}, "/kind"),
    ({"secrets": []}, "/secrets"),
    ({"secrets": [KEY, KEY, KEY]}, "/secrets"),
    ({"secrets": [""]}, "/secrets/0"),
    ({"secrets": [7]}, "/secrets/0"),
    ({"secrets": None}, "/secrets"),
    ({"stage_map": {"": "x"}}, "/stage_map//[key]"),
    ({"stage_map": {"1": 2}}, "/stage_map/1"),
    ({"field_map": {"Amount": "price"}}, "/field_map"),
    ({"field_map": {"Amount": "attributes."}}, "/field_map"),
    ({"public_url": "ftp://crm.example/x"}, "/public_url"),
    ({"public_url": "https://[x"}, "/public_url"),
    ({"id_prefix": "a\n"}, "/id_prefix"),
    ({"owner": "me"}, "/owner"),
    ({"kind": "pipedrive", "secrets": ["nopassword"]}, "/secrets/0"),
    ({"kind": "pipedrive", "secrets": ["a-user-of-the-webhook:b"]}, "/secrets/0"),
    ({"kind": "generic", "secrets": ["u:" + "p" * 16, "u:p"], "mapping_id": "m"}, "/secrets/1"),
    ({"kind": "zoho", "secrets": ["token"]}, "/secrets/0"),
    ({"secrets": ["AA=="]}, "/secrets/0"),
    ({"kind": "close", "secrets": ["not hex"]}, "/secrets/0"),
    ({"secrets": [KEY, "not base64!"]}, "/secrets/1"),
    ({"secrets": ["whsk_" + KEY]}, "/secrets/0"),
    ({"kind": "salesforce_cdc", "secrets": ["whpk_short"]}, "/secrets/0"),
    ({"kind": "salesforce_outbound", "secrets": ["My Org"]}, "/secrets/0"),
    ({"kind": "hubspot", "secrets": ["x"]}, "/public_url"),
    ({"kind": "hubspot", "secrets": ["x"], "weakest_signature": "v3"}, "/weakest_signature"),
    ({"weakest_signature": "v1"}, "/weakest_signature"),
    ({"weakest_signature": "v4"}, "/weakest_signature"),
]


@pytest.mark.parametrize(("changes", "pointer"), REFUSED)
async def test_what_does_not_fit_is_refused(
    api: Api, changes: dict[str, Any], pointer: str
) -> None:
    body = {"kind": "standard_webhooks", "secrets": [KEY]} | changes
    given = {name: value for name, value in body.items() if value is not None}
    answer = await api.client.put(path_of(standard(api)), json=given)
    assert answer.status_code == 422, answer.text
    assert pointer in [error.get("pointer") for error in answer.json()["errors"]], answer.text


async def test_a_short_secret_of_an_earlier_release_goes_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = standard(api)
    with monkeypatch.context() as earlier:
        earlier.setattr(connections_complete, "short", lambda *_: None)
        made = await put(api, own, kind="twenty", secrets=["short"])
    body, tag = {"kind": "twenty", "id_prefix": "x-"}, {"If-Match": made.headers["etag"]}
    again = await api.client.put(path_of(own), json=body | {"secrets": ["short"]}, headers=tag)
    assert (again.status_code, again.json()["id_prefix"]) == (200, "x-")
    tag = {"If-Match": again.headers["etag"]}
    kept = await api.client.put(path_of(own), json={"kind": "twenty"}, headers=tag)
    assert (kept.status_code, kept.json()["live_secrets"]) == (200, 1)
    tag = {"If-Match": kept.headers["etag"]}
    other = await api.client.put(path_of(own), json=body | {"secrets": ["other"]}, headers=tag)
    assert (other.status_code, other.json()["code"]) == (422, "invalid_secret")


async def test_another_kind_keeps_no_secrets_that_are_none_of_it(api: Api) -> None:
    own = standard(api)
    tag = {"If-Match": (await put(api, own)).headers["etag"]}
    kept = await api.client.put(path_of(own), json={"kind": "close"}, headers=tag)
    assert (kept.status_code, kept.json()["code"]) == (422, "invalid_secret")
    assert [error["pointer"] for error in kept.json()["errors"]] == ["/secrets"]
    fitting = await api.client.put(path_of(own), json={"kind": "salesforce_cdc"}, headers=tag)
    assert (fitting.status_code, fitting.json()["live_secrets"]) == (200, 1)


@pytest.mark.parametrize("wrong", ["a.b", "-a", "a%20b", "%00", "a" * 101])
async def test_ids_are_safe_to_be_written_anywhere(api: Api, wrong: str) -> None:
    body = {"kind": "standard_webhooks", "secrets": [KEY]}
    assert (await api.client.put(path_of(wrong), json=body)).status_code == 422
    assert (await api.client.get(path_of(wrong))).status_code == 404


async def test_only_who_may_configure_sees_connections(api: Api) -> None:
    own = standard(api)
    await put(api, own)
    wanted = {"name": "r", "scopes": ["events:write", "deals:read"]}
    key = (await api.client.post("/v1/api-keys", json=wanted)).json()["key"]
    weak = api.with_key(key)
    for method, path in (
        ("GET", "/v1/connections"), ("GET", path_of(own)), ("PUT", path_of(own)),
        ("DELETE", path_of(own)), ("GET", path_of(own) + "/versions"),
        ("POST", path_of(own) + "/test"), ("GET", path_of(own) + "/refreshes"),
        ("POST", path_of(own) + "/refreshes/done"),
    ):  # fmt: skip
        assert (await weak.request(method, path)).status_code == 403, path
        assert (await api.with_key(None).request(method, path)).status_code == 401, path


async def test_secrets_are_in_no_answer_no_audit_row_and_nowhere_plain(
    api: Api, database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    own = standard(api)
    made = await put(api, own, secrets=[CANARY])
    tag = {"If-Match": made.headers["etag"]}
    body = {"kind": "standard_webhooks", "secrets": [CANARY, KEY]}
    replaced = await api.client.put(path_of(own), json=body, headers=tag)
    wrong = await api.client.put(path_of(own), json=body | {"secrets": [CANARY] * 3}, headers=tag)
    assert (replaced.status_code, wrong.status_code) == (200, 422)
    answers = [made, replaced, wrong] + [
        await api.client.get(path)
        for path in (path_of(own), path_of(own) + "/versions", "/v1/connections")
    ]
    assert [answer.text for answer in answers if CANARY in answer.text] == []
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch(
            """SELECT c.oid::regclass::text AS name FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'ingest' AND c.relkind = 'r'"""
        )
        for table in tables:
            rows = await connection.fetch(f"SELECT t::text AS row FROM {table['name']} t")  # noqa: S608
            shown = "".join(row["row"] for row in rows)
            assert CANARY not in shown, table
            assert CANARY.encode().hex() not in shown, table
        audit = await connection.fetch(
            "SELECT action, object, before::text, after::text FROM ingest.audit"
            " WHERE tenant_id = $1 AND action LIKE 'connection.%' ORDER BY audit_id", api.tenant,
        )  # fmt: skip
    finally:
        await connection.close()
    assert [row["object"] for row in audit] == [f"connection {own} version {n}" for n in (1, 2)]
    assert [json.loads(row["after"])["secrets_changed"] for row in audit] == [True, True]
    assert CANARY not in "".join(capfd.readouterr())


def test_what_is_sealed_opens_for_its_own_connection_alone() -> None:
    sealer = Sealer(b"k" * 32)
    sealed = sealer.seal("t", "c", ["one", "two"])
    assert sealer.open("t", "c", sealed) == ("one", "two")
    assert sealer.seal("t", "c", ["one"]) != sealer.seal("t", "c", ["one"])
    for opener, tenant, connection in (
        (sealer, "t", "d"), (sealer, "u", "c"), (Sealer(b"j" * 32), "t", "c"),
    ):  # fmt: skip
        with pytest.raises(CannotOpen):
            opener.open(tenant, connection, sealed)
    damaged = sealed[0][:-1] + bytes([sealed[0][-1] ^ 1])
    with pytest.raises(CannotOpen):
        sealer.open("t", "c", [damaged])
