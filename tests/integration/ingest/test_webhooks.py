"""`POST /v1/webhooks/{id}` over HTTP: proofs, answers, dead letters, refreshes, outages, logs."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from libs.common.clock import Clock
from libs.common.contracts.envelope import from_headers
from libs.common.db.database import Database
from libs.common.db.errors import DatabaseUnavailable
from libs.common.logging import configure
from libs.common.web.errors import TooMany
from services.ingest.app.ports import IndexUnavailable
from services.ingest.domain.crm import registry
from services.ingest.domain.crm.model import Kind
from services.ingest.entrypoints import connections
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
    outbound_message,
    put,
    signed,
    standard,
)

pytestmark = pytest.mark.postgres
ORGANIZATION = "00D000000000001"
CANARY = "canary-canary-canary"


def state_of(api: Api) -> Any:
    return cast(Any, api.service.state)


async def letters(api: Api, database_url: str) -> Sequence[Mapping[Any, Any]]:
    database = Database(database_url, "headway_ingest_api")
    try:
        async with database.for_tenant(api.tenant) as tx:
            rows = await tx.execute(text("SELECT * FROM ingest.dead_letters ORDER BY code, body"))
            return rows.mappings().all()
    finally:
        await database.close()


def failures(kind: str, reason: str) -> float:
    labels = {"source": kind, "reason": reason}
    return REGISTRY.get_sample_value("headway_ingest_signature_failures_total", labels) or 0


async def test_a_delivery_enters_as_events_do(api: Api) -> None:
    own = standard(api)
    await put(api, own, id_prefix="x-", stage_map={"42": "proposal"})
    body = body_of(stage_id="42", name="Nine presses")
    answer = await deliver(api, own, body, signed(body))
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": 0, "refreshes": 0}
    kept = from_headers(api.log.records[0].headers, api.log.records[0].value)
    assert (kept.tenant_id, kept.source) == (api.tenant, f"/connections/{own}")
    again = await deliver(api, own, body, signed(body))
    assert again.json() == {"accepted": 0, "duplicates": 1, "rejected": 0, "refreshes": 0}
    assert len(api.log.records) == 1


async def test_what_is_not_proven_is_refused(api: Api) -> None:
    own, body = standard(api), body_of()
    await put(api, own)
    before = failures("standard_webhooks", "signature_invalid")
    cases = [
        ({}, "signature_missing"),
        (signed(body, NEW_KEY), "signature_invalid"),
        (signed(body + b" "), "signature_invalid"),
        (signed(body, age=301), "stale"),
        (signed(body, age=-302), "stale"),
        (signed(body) | {"webhook-timestamp": "soon"}, "timestamp_invalid"),
    ]
    for headers, code in cases:
        answer = await deliver(api, own, body, headers)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["www-authenticate"].startswith("Signature")
    assert failures("standard_webhooks", "signature_invalid") == before + 2
    assert api.log.records == []
    await state_of(api).counting.write()
    shown = (await api.client.get(f"/v1/connections/{own}")).json()
    assert (shown["counts"]["refused"], shown["counts"]["deliveries"]) == (len(cases), 0)
    (listed,) = (await api.client.get("/v1/connections")).json()["items"]
    assert (listed["id"], listed["counts"]) == (own, shown["counts"])
    assert shown["last_delivery_at"] is None, "what anybody can send tells nothing of the CRM"


async def test_no_bearer_key_stands_in_for_a_proof(api: Api) -> None:
    own, body = standard(api), body_of()
    await put(api, own)
    answer = await api.client.post(f"/v1/webhooks/{own}", content=body)
    assert answer.status_code == 401


async def test_both_secrets_prove_while_they_are_changed(api: Api) -> None:
    own = standard(api)
    tag = (await put(api, own)).headers["etag"]
    steps = [([NEW_KEY, KEY], {KEY: 202, NEW_KEY: 202}), ([NEW_KEY], {KEY: 401, NEW_KEY: 202})]
    for number, (secrets, expected) in enumerate(steps):
        changed = await api.client.put(
            f"/v1/connections/{own}",
            json={"kind": "standard_webhooks", "secrets": secrets},
            headers={"If-Match": tag},
        )
        tag = changed.headers["etag"]
        for key, status in expected.items():
            body = body_of(name=f"{number}")
            headers = signed(body, key, f"m{number}{key[:2]}{key[12:14]}")
            answer = await deliver(api, own, body, headers)
            assert answer.status_code == status, (number, key)


async def test_the_log_tells_by_its_place_which_secret_it_was(
    api: Api, capfd: pytest.CaptureFixture[str]
) -> None:
    own, body = standard(api), body_of()
    await put(api, own, secrets=[NEW_KEY, KEY])
    configure("DEBUG")
    await deliver(api, own, body, signed(body, KEY))
    told = [line for line in capfd.readouterr().err.splitlines() if "delivery_proven" in line]
    assert [json.loads(line)["proven_by"] for line in told] == [1]


@pytest.mark.parametrize("wrong", ["nobody", "%00", "a%2Fb"])
async def test_an_unknown_connection_is_404(api: Api, wrong: str) -> None:
    answer = await deliver(api, wrong, body_of(), signed(body_of()))
    assert answer.status_code == 404


async def test_a_deleted_connection_takes_nothing_more(api: Api) -> None:
    own, body = standard(api), body_of()
    await put(api, own)
    assert (await deliver(api, own, body, signed(body))).status_code == 202
    await api.client.delete(f"/v1/connections/{own}")
    assert (await deliver(api, own, body, signed(body))).status_code == 404


async def test_what_cannot_be_read_or_is_too_large(api: Api) -> None:
    own, body = standard(api), b"not JSON"
    await put(api, own)
    unreadable = await deliver(api, own, body, signed(body))
    assert (unreadable.status_code, unreadable.json()["code"]) == (400, "unreadable")
    large = b"x" * (1024 * 1024 + 1)
    for path in (own, "nobody"):  # before anything else
        answer = await deliver(api, path, large, {})
        assert answer.status_code == 413


async def test_a_puzzle_is_kept_and_its_neighbours_enter(api: Api, database_url: str) -> None:
    own, secret = standard(api, "espo"), "espo-secret-of-a-test"
    await put(api, own, kind="espocrm", secrets=[secret])
    parts: list[Any] = [
        {"id": "1", "name": "good", "createdAt": "2026-03-01 09:00:00"},
        {"id": "2", "amount": "rotten", "note": secret, "createdAt": "2026-03-01 09:00:00"},
        7,
        {"id": "3", "name": "good", "createdAt": "2026-03-01 09:00:00"},
    ]
    body = json.dumps(parts).encode()
    headers = espocrm_signed(body, secret) | {
        "authorization": f"Basic {CANARY}", "cookie": CANARY, "x-forwarded-access": CANARY,
        "user-agent": "EspoCRM/8", "content-type": "application/json",
    }  # fmt: skip
    query = "?event=Opportunity.create"
    for accepted, duplicates in ((2, 0), (0, 2)):
        answer = await deliver(api, own, body, headers, query)
        assert answer.status_code == 202, answer.text
        told = answer.json()
        assert (told["accepted"], told["duplicates"], told["rejected"]) == (accepted, duplicates, 2)
    kept = await letters(api, database_url)
    assert [json.loads(row["body"]) for row in kept] == [parts[1] | {"note": "***"}, 7] or [
        json.loads(row["body"]) for row in kept
    ] == [7, parts[1] | {"note": "***"}]
    for row in kept:
        assert row["source"] == f"/connections/{own}"
        shown = dict(zip(row["header_names"], map(bytes, row["header_values"]), strict=True))
        assert shown["query-event"] == b"Opportunity.create"
        assert shown["connection-kind"] == b"espocrm"
        assert shown["user-agent"] == b"EspoCRM/8"
        assert CANARY not in str(row)
        assert secret not in str(row)


async def test_a_part_that_nests_without_end_is_a_puzzle_too(api: Api, database_url: str) -> None:
    own = standard(api)
    await put(api, own)
    deep = "[" * 900 + "]" * 900
    body = body_of().replace(b'"D-1"', b'"D-1", "attributes": {"x": ' + deep.encode() + b"}")
    answer = await deliver(api, own, body, signed(body))
    assert (answer.status_code, answer.json()["rejected"]) == (202, 1), answer.text
    (letter,) = await letters(api, database_url)
    assert deep.encode() in bytes(letter["body"]).replace(b" ", b"")


async def test_outbound_messages_are_answered_their_ack(api: Api) -> None:
    own, body = standard(api, "sf"), outbound_message(ORGANIZATION)
    await put(api, own, kind="salesforce_outbound", secrets=[ORGANIZATION])
    headers = {"content-type": "text/xml"}
    for _ in range(2):
        answer = await deliver(api, own, body, headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/xml")
        assert b"Ack>true<" in answer.content
    api.log.down = True
    with without_acceptance(api):
        later = await deliver(api, own, body.replace(b"Prospecting", b"Closing"), headers)
    assert later.status_code == 503
    stranger = await deliver(api, own, outbound_message("00D000000000009"), headers)
    assert stranger.status_code == 401


class without_acceptance:
    """While the acceptor answers `error` to everything."""

    def __init__(self, api: Api, error: Exception | None = None) -> None:
        self._receiver = state_of(api).receiver
        self._error = error or IndexUnavailable("scripted")

    def __enter__(self) -> None:
        self._acceptor, error = self._receiver._acceptor, self._error

        class Refusing:
            async def accept(self, *_: Any) -> Any:
                raise error

        self._receiver._acceptor = Refusing()

    def __exit__(self, *_: object) -> None:
        self._receiver._acceptor = self._acceptor


async def test_espocrm_is_never_told_429(api: Api) -> None:
    own, body = standard(api, "espo"), b"[]"
    await put(api, own, kind="espocrm", secrets=["s3cret-of-espo"])
    other = standard(api)
    await put(api, other)
    with without_acceptance(api, TooMany("quota", retry_after=7, code="quota")):
        espo = await deliver(api, own, body, espocrm_signed(body, "s3cret-of-espo"))
        plain = await deliver(api, other, body_of(), signed(body_of()))
    assert (espo.status_code, "retry-after" in espo.headers) == (503, True)
    assert (plain.status_code, plain.headers["retry-after"]) == (429, "7")


async def test_what_a_connection_cannot_judge_is_not_the_senders_fault(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As connections of an earlier release may be: HubSpot ends a delivery that is answered 401."""
    own, other, body, secret = standard(api, "hub"), standard(api), b"[]", "a client secret"
    with monkeypatch.context() as earlier:
        earlier.setattr(connections, "refuse_incomplete", lambda *_: None)
        earlier.setattr(connections, "secret_faults", lambda *_: ())
        tag = (await put(api, own, kind="hubspot", secrets=[secret])).headers["etag"]
        await put(api, other, secrets=["not base64!"])
    before = failures("hubspot", "connection_incomplete")
    cases = [(own, body, hubspot_v3(body, secret)), (other, body_of(), signed(body_of()))]
    for name, content, headers in cases:
        answer = await deliver(api, name, content, headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "connection_incomplete")
        assert answer.headers["retry-after"] == "60"
    assert failures("hubspot", "connection_incomplete") == before + 1
    sample = {"body": "[]", "headers": hubspot_v3(body, secret)}
    tried = await api.client.post(f"/v1/connections/{own}/test", json=sample)
    assert tried.json()["proof"]["code"] == "connection_incomplete"
    assert (await deliver(api, own, body, hubspot_signed(body, secret))).status_code == 202
    whole = {"kind": "hubspot", "public_url": HUBSPOT_URL}
    path = f"/v1/connections/{own}"
    await api.client.put(path, json=whole, headers={"If-Match": tag})
    assert (await deliver(api, own, body, hubspot_v3(body, secret))).status_code == 202


async def test_a_fault_of_ours_is_never_the_senders(
    api: Api, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    own, body = standard(api), body_of(name=CANARY)
    await put(api, own)
    configure("DEBUG")

    def broken(*_: Any) -> Any:
        raise KeyError(body.decode())

    kind: Kind = "standard_webhooks"
    connectors = dict(registry.CONNECTORS)
    connectors[kind] = replace(connectors[kind], translate=broken)
    monkeypatch.setattr(state_of(api).receiver, "_connectors", connectors)
    answer = await deliver(api, own, body, signed(body))
    assert (answer.status_code, answer.json()["code"]) == (503, "connector_failed")
    lines = capfd.readouterr().err
    assert "connector_failed" in lines
    assert CANARY not in lines + answer.text


async def test_secrets_under_another_key_ask_for_patience(api: Api, database_url: str) -> None:
    own, body = standard(api), body_of()
    await put(api, own)
    database = Database(database_url, "headway_ingest_worker")
    async with database.across_tenants() as tx:
        values = {"sealed": [b"\x01" + b"x" * 40], "own": own}
        await tx.execute(
            text("UPDATE ingest.connections SET sealed = CAST(:sealed AS bytea[])"
                 " WHERE connection_id = :own"), values)  # fmt: skip
    await database.close()
    answer = await deliver(api, own, body, signed(body))
    assert (answer.status_code, answer.json()["code"]) == (503, "secrets_unreadable")
    tag = (await api.client.get(f"/v1/connections/{own}")).headers["etag"]
    mended = await api.client.put(f"/v1/connections/{own}", headers={"If-Match": tag},
                                  json={"kind": "standard_webhooks", "secrets": [KEY]})  # fmt: skip
    assert (mended.status_code, mended.json()["version"]) == (200, 2)
    assert (await deliver(api, own, body, signed(body))).status_code == 202


class Later(Clock):
    """A clock that is ahead."""

    def __init__(self, inner: Clock) -> None:
        self._inner, self.ahead = inner, timedelta()

    def now(self) -> datetime:
        return self._inner.now() + self.ahead

    def monotonic(self) -> float:
        return self._inner.monotonic() + self.ahead.total_seconds()


async def test_while_postgres_is_away_known_connections_serve_for_a_day(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, unseen = standard(api), standard(api, "unseen")
    await put(api, own)
    await put(api, unseen)
    lookup = state_of(api).lookup
    clock = Later(lookup._clock)
    monkeypatch.setattr(lookup, "_clock", clock)
    assert (await deliver(api, own, body_of(), signed(body_of()))).status_code == 202

    async def away(*_: Any) -> Any:
        raise DatabaseUnavailable("scripted")

    asked = lookup._database
    monkeypatch.setattr(lookup, "_database", Away())
    for ahead, message, status in (
        (timedelta(seconds=20), "a", 202), (timedelta(seconds=40), "b", 202),
        (timedelta(hours=23), "c", 202), (timedelta(hours=25), "d", 503),
    ):  # fmt: skip
        clock.ahead = ahead
        body = body_of(name=message)
        answer = await deliver(api, own, body, signed(body, message=message))
        assert answer.status_code == status, ahead
    unknown = await deliver(api, unseen, body_of(), signed(body_of()))
    assert (unknown.status_code, unknown.json()["code"]) == (503, "database_unavailable")
    assert "retry-after" in unknown.headers
    monkeypatch.setattr(lookup, "_database", asked)
    clock.ahead = timedelta(hours=26)
    assert (await deliver(api, unseen, body_of(), signed(body_of()))).status_code == 202


class Away:
    """A database that is."""

    def across_tenants(self) -> Any:
        raise DatabaseUnavailable("scripted")


async def test_a_puzzle_that_cannot_be_kept_now_is_kept_later(
    api: Api, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    own, body = standard(api), body_of(amount="rotten")
    await put(api, own)
    with monkeypatch.context() as broken:
        broken.setattr(state_of(api).receiver._keeper._keeper, "_database", Away())
        assert (await deliver(api, own, body, signed(body))).status_code == 202
        assert await letters(api, database_url) == []
    async with asyncio.timeout(20):
        while not (found := await letters(api, database_url)):
            await asyncio.sleep(0.05)
    assert len(found) == 1


async def test_records_to_be_read_are_listed_until_they_were(api: Api) -> None:
    own = standard(api, "cdc")
    await put(api, own, kind="salesforce_cdc")
    for message, records in (("m1", ["006A", "006B"]), ("m2", ["006A"])):
        body = gap_of(*records, transaction=message)
        answer = await deliver(api, own, body, signed(body, message=message))
        assert answer.status_code == 202, answer.text
        assert answer.json()["refreshes"] == len(records)
    path = f"/v1/connections/{own}/refreshes"
    shown = (await api.client.get(f"/v1/connections/{own}")).json()["needs_refresh"]
    assert shown["count"] == 2
    assert [(r["record_id"], r["reason"], r["count"]) for r in shown["records"]] == [
        ("006A", "gap", 2), ("006B", "gap", 1),
    ]  # fmt: skip
    first = (await api.client.get(path + "?limit=1")).json()
    rest = (await api.client.get(path + f"?cursor={first['next_cursor']}")).json()
    assert [r["record_id"] for r in first["items"] + rest["items"]] == ["006A", "006B"]
    entity = shown["records"][0]["entity"]
    early = {"records": [{"entity": entity, "record_id": "006A"}],
             "read_at": "2020-01-01T00:00:00Z"}  # fmt: skip
    assert (await api.client.post(path + "/done", json=early)).json() == {"done": 0}
    early.pop("read_at")
    for done in (1, 0):
        assert (await api.client.post(path + "/done", json=early)).json() == {"done": done}
    assert [r["record_id"] for r in (await api.client.get(path)).json()["items"]] == ["006B"]


async def test_a_sample_is_shown_and_leaves_no_trace(api: Api, database_url: str) -> None:
    own = standard(api)
    await put(api, own, secrets=[NEW_KEY, KEY])
    path, body = f"/v1/connections/{own}/test", body_of(amount="1.50").decode()
    shown = (await api.client.post(path, json={"body": body})).json()
    assert shown["proof"] is None
    assert [(e["type"], e["data"]["amount"], e["status"]) for e in shown["events"]] == [
        ("deal.created", "1.50", "accepted")
    ]
    sample = {"body": body, "headers": {k.title(): v for k, v in signed(body.encode()).items()}}
    proven = (await api.client.post(path, json=sample)).json()
    assert proven["proof"] == {"verifies": True, "secret": 1}
    stale = sample | {"headers": signed(body.encode(), age=400)}
    told = (await api.client.post(path, json=stale)).json()
    assert (told["proof"]["verifies"], told["proof"]["code"]) == (False, "stale")
    assert len(told["events"]) == 1, "shown all the same"
    rotten = (await api.client.post(path, json={"body": json.loads(body_of(amount="x"))})).json()
    assert (rotten["events"], len(rotten["puzzles"])) == ([], 1)
    unread = (await api.client.post(path, json={"body": "not JSON"})).json()
    assert unread["unreadable"]
    assert (await api.client.post(path, json={"body": {}, "verify": 1})).status_code == 422
    assert api.log.records == []
    assert await letters(api, database_url) == []


async def test_a_sample_may_hold_what_no_writer_likes(api: Api) -> None:
    own = standard(api)
    await put(api, own)
    deep = "[" * 900 + "]" * 900
    samples = [
        body_of(x=0).replace(b"0}", b"9" * 4_500 + b"}"),
        body_of().replace(b'"D-1"', b'"D-1", "attributes": {"x": ' + deep.encode() + b"}"),
        b'{"type": "x.unknown", "timestamp": "2026-03-01T09:00:00Z", "data": {"n": '
        + b"9" * 30 + b"}}",
    ]  # fmt: skip
    for sample in samples:
        path = f"/v1/connections/{own}/test"
        answer = await api.client.post(path, json={"body": sample.decode()})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert len(told["events"]) + len(told["puzzles"]) == 1


async def test_counts_are_written_behind_the_answer(api: Api) -> None:
    own = standard(api)
    await put(api, own)
    sent = datetime.now(UTC)
    for message, body in (
        ("a", body_of()), ("a", body_of()), ("b", body_of(amount="rotten")),
    ):  # fmt: skip
        await deliver(api, own, body, signed(body, message=message))
    await state_of(api).counting.write()
    shown = (await api.client.get(f"/v1/connections/{own}")).json()
    assert shown["counts"] == {
        "deliveries": 3, "accepted": 1, "duplicates": 1, "rejected": 1, "refused": 0,
    }  # fmt: skip
    assert datetime.fromisoformat(shown["last_delivery_at"]) >= sent - timedelta(seconds=1)
    assert shown["last_event_at"] == "2026-03-01T09:00:00Z"
    assert shown["gap"] is None


async def test_counts_that_cannot_be_written_wait_and_fail_nobody(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = standard(api)
    await put(api, own)
    writer = state_of(api).counting
    database = writer._database
    monkeypatch.setattr(writer, "_database", Away())
    body = body_of()
    assert (await deliver(api, own, body, signed(body))).status_code == 202
    with pytest.raises(IndexUnavailable):
        await writer.write()
    monkeypatch.setattr(writer, "_database", database)
    await writer.write()
    shown = (await api.client.get(f"/v1/connections/{own}")).json()
    assert shown["counts"]["deliveries"] == 1


async def test_no_log_line_has_what_a_crm_sends(
    api: Api, capfd: pytest.CaptureFixture[str]
) -> None:
    own, wrong = standard(api), body_of(name=CANARY, amount="rotten")
    await put(api, own)
    configure("DEBUG")
    good = body_of(name=CANARY)
    for body, headers in (
        (good, signed(good)),
        (good, signed(good, NEW_KEY, CANARY)),
        (wrong, signed(wrong, message="m2")),
        (CANARY.encode(), signed(CANARY.encode(), message="m3")),
    ):
        await deliver(api, own, body, headers | {"authorization": f"Bearer {CANARY}"})
    lines = capfd.readouterr().err
    assert "delivery_refused" in lines
    for hidden in (CANARY, KEY, NEW_KEY):
        assert hidden not in lines
