"""`POST /v1/events` over HTTP: content modes, verdicts, limits, outages, hostile bodies."""

import asyncio
import json
from datetime import datetime
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from libs.common.contracts.envelope import from_headers
from libs.common.db.database import Database
from tests.integration.ingest.conftest import Api
from tests.integration.ingest.fakes import stage_event

pytestmark = pytest.mark.postgres
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
PLAIN = {"content-type": "application/json"}


def envelope(api: Api, place: int = -1) -> Any:
    record = api.log.records[place]
    return from_headers(record.headers, record.value)


@pytest.mark.parametrize("headers", [STRUCTURED, PLAIN])
async def test_structured_and_plain_json(api: Api, headers: dict[str, str]) -> None:
    event = stage_event("evt-1", sequence="12", subject="D-1")
    answer = await api.client.post("/v1/events", content=json.dumps(event), headers=headers)
    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": 1,
        "duplicates": 0,
        "rejected": 0,
        "results": [{"id": "evt-1", "status": "accepted"}],
    }
    kept = envelope(api)
    assert (kept.id, kept.sequence, kept.subject, kept.tenant_id) == (
        "evt-1",
        12,
        "D-1",
        api.tenant,
    )
    assert api.log.records[0].key == f"{api.tenant}:D-evt-1".encode()


async def test_binary_mode(api: Api) -> None:
    headers = {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": "evt-2",
        "ce-source": "/crm/caf%C3%A9",
        "ce-type": "deal.won",
        "ce-time": "2026-03-01T10:00:00+01:00",
    }
    answer = await api.client.post("/v1/events", content=b'{"deal_id":"D-2"}', headers=headers)
    assert answer.status_code == 202
    kept = envelope(api)
    assert (kept.id, kept.source, kept.type, kept.data) == (
        "evt-2",
        "/crm/café",
        "deal.won",
        b'{"deal_id":"D-2"}',
    )


@pytest.mark.parametrize("headers", [BATCH, PLAIN, STRUCTURED])
async def test_batches_answer_each_event(api: Api, headers: dict[str, str]) -> None:
    await api.post(stage_event("old"))
    events = [
        stage_event("new"),
        stage_event("old"),
        stage_event("bad", 7),
        stage_event("old", "other"),
        stage_event("new"),
        stage_event("odd", type="weather.changed"),
        stage_event("far", time="2199-01-01T00:00:00Z"),
        17,
    ]
    answer = await api.client.post("/v1/events", content=json.dumps(events), headers=headers)
    body = answer.json()
    assert answer.status_code == 202
    assert (body["accepted"], body["duplicates"], body["rejected"]) == (3, 3, 2)
    assert [(r["id"], r["status"], r.get("code")) for r in body["results"]] == [
        ("new", "accepted", None),
        ("old", "duplicate", None),
        ("bad", "rejected", "invalid_field"),
        ("old", "duplicate", "conflict"),
        ("new", "duplicate", None),
        ("odd", "accepted", "unknown_type"),
        ("far", "accepted", "future"),
        (None, "rejected", "invalid_field"),
    ]
    assert body["results"][2]["errors"][0]["pointer"] == "/data/stage_id"
    assert api.log.ids == ["old", "new", "odd", "far"]


async def test_events_are_counted_as_they_were_judged(api: Api) -> None:
    def counted(outcome: str) -> float:
        labels = {"source": "api", "event_type": "deal.stage_changed", "outcome": outcome}
        return REGISTRY.get_sample_value("headway_ingest_events_total", labels) or 0.0

    def ages() -> float:
        return REGISTRY.get_sample_value("headway_ingest_event_age_seconds_count") or 0.0

    before = counted("accepted"), counted("duplicate"), counted("rejected"), ages()
    events = stage_event("one"), stage_event("two", 7)
    await api.post(*events)
    await api.post(*events)
    accepted, duplicate, rejected, aged = before
    assert (counted("accepted"), counted("duplicate")) == (accepted + 1, duplicate + 1)
    assert (counted("rejected"), ages()) == (rejected + 2, aged + 1)


async def test_in_a_sandbox_no_time_is_too_far_ahead(api: Api) -> None:
    made = await api.operator.post("/v1/tenants", json={"id": api.tenant + "-s", "sandbox": True})
    ahead = [stage_event(name, time="2199-01-01T00:00:00Z") for name in "ab"]
    for client, code in ((api.client, "future"), (api.with_key(made.json()["api_key"]), None)):
        both = (await client.post("/v1/events", json=ahead)).json()["results"]
        assert [(r["status"], r.get("code")) for r in both] == [("accepted", code)] * 2


async def test_resending_a_mixed_batch_has_no_new_effect(api: Api) -> None:
    events = [stage_event(str(n), 7 if n in (3, 50, 99) else "a") for n in range(100)]
    first = (await api.post(*events)).json()
    again = (await api.post(*events)).json()
    assert (first["accepted"], first["rejected"]) == (97, 3)
    assert (again["accepted"], again["duplicates"], again["rejected"]) == (0, 97, 3)
    assert len(api.log.records) == 97


async def test_an_empty_batch_is_accepted(api: Api) -> None:
    answer = await api.client.post("/v1/events", content=b"[]", headers=BATCH)
    assert (answer.status_code, answer.json()["results"]) == (202, [])


async def test_a_rejected_event_is_422_with_its_pointer(api: Api) -> None:
    event = stage_event("1")
    event["data"]["mood"] = "good"
    answer = await api.post(event)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "unknown_field")
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [
        ("/data/mood", "unknown_field")
    ]


async def test_a_wholly_rejected_batch_is_422_with_places(api: Api) -> None:
    answer = await api.post(stage_event("1", 7), stage_event("2", source=None))
    assert (answer.status_code, answer.json()["code"]) == (422, "all_rejected")
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert pointers == ["/0/data/stage_id", "/1/source"]


TOO_MUCH = [
    (PLAIN, json.dumps(stage_event("1", type="x", data="y" * 262_144)).encode()),
    (PLAIN, json.dumps([stage_event(str(n)) for n in range(1_001)]).encode()),
    (PLAIN, b"[" + b" " * 1_048_576 + b"]"),
]


@pytest.mark.parametrize(("headers", "body"), TOO_MUCH)
async def test_too_much_is_413(api: Api, headers: dict[str, str], body: bytes) -> None:
    answer = await api.client.post("/v1/events", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert api.log.appends == 0


async def test_an_oversized_event_in_a_batch_gets_its_own_verdict(api: Api) -> None:
    answer = await api.post(stage_event("big", type="x", data="y" * 262_144), stage_event("ok"))
    results = answer.json()["results"]
    assert [(r["status"], r.get("code")) for r in results] == [
        ("rejected", "too_large"),
        ("accepted", None),
    ]


async def test_a_body_without_length_is_counted(api: Api) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 100_000

    answer = await api.client.post("/v1/events", content=endless(), headers=PLAIN)
    assert answer.status_code == 413


MEDIA = [
    {"content-type": "text/plain"},
    {"content-type": "application/xml"},
    {"content-type": "application/cloudevents+avro"},
    {"content-type": "application/json; charset=utf-16"},
    {"content-type": "application/json", "content-encoding": "gzip"},
    {"content-type": "text/plain", "ce-id": "1", "ce-type": "x", "ce-source": "/"},
    {"content-type": ""},
]


@pytest.mark.parametrize("headers", MEDIA)
async def test_other_media_are_415(api: Api, headers: dict[str, str]) -> None:
    answer = await api.client.post("/v1/events", content=b"{}", headers=headers)
    assert answer.status_code == 415


HOSTILE = [
    b"",
    b"{",
    b"nonsense",
    b"\xff\xfe{}",
    b"\x00",
    b"null",
    b"1",
    b'"text"',
    b"[" * 100_000,
    b"[" * 2_000 + b"]" * 2_000,
    b'{"a":' * 40_000,
    b"[NaN]",
    b"1e999",
    b"9" * 5_000,
    b'{"id":"\\ud800","source":"/","type":"x"}',
    b'{"id":"a\\u0000","source":"/","type":"x"}',
    b'{"id":"1","source":"\\ud800","type":"x","data":{"\\ud800":"\\ud800"}}',
    b'{"id":"1","source":"/","type":"x","data":{"a\\u0000":1}}',
    b'{"id":"1","source":"/","type":"x","data":NaN}',
    b'{"id":"1","source":"/","type":"x","data":1e999}',
    b'{"id":"1","source":"/","type":"x","data":99999999999999999999}',
    b'{"id":{"a":1},"source":[],"type":true,"time":1}',
    b'{"id":"1","source":"/","type":"deal.created","data":{"deal_id":"D","amount":"1e308"}}',
    b'{"id":"1","source":"/","type":"deal.created","data":{"deal_id":"D","\\ud800":1}}',
    b'{"id":"1","source":"/","type":"deal.updated","data":{"deal_id":"D","changes":{"\\ud800":1}}}',
    b'{"id":"1","source":"/","type":"x","time":"9999-12-31T23:59:59-12:00"}',
    b'{"id":"1","source":"/","type":"x","data_base64":"AAAA"}',
    b'{"id":"1","source":"/","type":"x","sequence":"1.5"}',
]


@pytest.mark.parametrize("place", range(len(HOSTILE)))
@pytest.mark.parametrize("headers", [PLAIN, BATCH, {**PLAIN, "ce-id": "1"}])
async def test_hostile_bodies_are_refused_precisely(
    api: Api, headers: dict[str, str], place: int
) -> None:
    answer = await api.client.post("/v1/events", content=HOSTILE[place], headers=headers)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["code"]
    assert api.log.appends == 0


async def test_a_hostile_event_does_not_take_its_neighbours_along(api: Api) -> None:
    good = json.dumps(stage_event("ok")).encode()
    bad = [b'{"id":"1","source":"/","type":"x","data":"\\ud800"}', b'{"data":NaN}', b"[[]]"]
    body = b"[" + b",".join([good, *bad]) + b"]"
    answer = await api.client.post("/v1/events", content=body, headers=PLAIN)
    assert (answer.status_code, answer.json()["accepted"], answer.json()["rejected"]) == (202, 1, 3)


@pytest.mark.parametrize("depth", [100, 1_000, 100_000])
@pytest.mark.parametrize("headers", [BATCH, PLAIN])
async def test_an_event_nested_too_deep_is_refused_alone(
    api: Api, headers: dict[str, str], depth: int
) -> None:
    good = [json.dumps(stage_event(name)).encode() for name in "ab"]
    deep = b'{"id":"deep","data":' + b'[{"]":' * depth + b"[]" + b"}]" * depth + b"}"
    body = b" [ " + b" , ".join([good[0], deep, good[1]]) + b" ] "
    answer = await api.client.post("/v1/events", content=body, headers=headers)
    results = answer.json()["results"]
    assert [r["status"] for r in results] == ["accepted", "rejected", "accepted"]
    assert "nested" in results[1]["detail"]
    assert api.log.ids == ["a", "b"]


async def test_credentials_and_scopes(api: Api) -> None:
    assert (await api.with_key(None).post("/v1/events", json={})).status_code == 401
    key = await api.client.post("/v1/api-keys", json={"name": "r", "scopes": ["deals:read"]})
    reader = api.with_key(key.json()["key"])
    assert (await reader.post("/v1/events", json={})).status_code == 403
    assert (await api.operator.post("/v1/events", json={})).status_code == 403


async def test_unknown_query_parameters_are_refused(api: Api) -> None:
    answer = await api.client.post("/v1/events?tenant=rival", json=stage_event("1"))
    assert answer.status_code in (400, 422)
    assert api.log.appends == 0


async def test_while_the_log_is_down_events_are_accepted_and_wait(api: Api) -> None:
    api.log.down = True
    assert (await api.post(stage_event("1"))).json()["accepted"] == 1
    shown = (await api.client.get("/v1/events/1")).json()
    assert (shown["state"], shown["offset"]) == ("spooled", None)
    assert (await api.post(stage_event("1"))).json()["duplicates"] == 1
    api.log.down = False
    async with asyncio.timeout(30):
        while (await api.client.get("/v1/events/1")).json()["state"] != "published":
            await asyncio.sleep(0.01)
    assert api.log.ids == ["1"]


async def test_while_the_spool_is_full_503_and_the_repeat_is_accepted(api: Api) -> None:
    api.log.down = True
    large = [stage_event(str(n), "s" * 190, subject="x" * 400) for n in range(200)]
    while (answer := await api.post(*large)).status_code == 202:
        large = [event | {"id": event["id"] + "x"} for event in large]
    assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    api.log.down = False
    async with asyncio.timeout(30):
        while (answer := await api.post(*large)).status_code == 503:
            await asyncio.sleep(0.01)
    assert answer.json()["accepted"] == 200


async def test_where_an_event_is(api: Api) -> None:
    before = await api.client.get("/v1/events/a%2Fb", params={"source": "/crm"})
    assert before.status_code == 404
    await api.post(stage_event("a/b"))
    shown = (await api.client.get("/v1/events/a%2Fb", params={"source": "/crm"})).json()
    assert (shown["event_id"], shown["state"]) == ("a/b", "published")
    assert (shown["partition"], shown["offset"], shown["folded_at"]) == (0, 0, None)
    assert (await api.client.get("/v1/events/a%2Fb", params={"source": "/x"})).status_code == 404
    rival = await api.new_tenant(api.tenant + "-rival")
    assert (await rival.get("/v1/events/a%2Fb", params={"source": "/crm"})).status_code == 404


async def test_an_id_of_several_sources_needs_the_source(api: Api) -> None:
    await api.post(stage_event("1"), stage_event("1", source="/mail"))
    answer = await api.client.get("/v1/events/1")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "source")


async def test_a_conflict_shows(api: Api) -> None:
    await api.post(stage_event("1"))
    await api.post(stage_event("1", "b"))
    shown = (await api.client.get("/v1/events/1", params={"source": "/crm"})).json()
    assert (shown["state"], shown["offset"]) == ("conflict", 0)
    assert "another body" in shown["reason"]


FOLD = text("""
    INSERT INTO funnel.events (tenant_id, source, event_id, subject_kind, subject_id, type,
        occurred_at, sequence, recorded_at, origin, time_quality, body_hash, data, partition,
        "offset")
    VALUES (:tenant, '/crm', :id, 'deal', :deal, 'deal.stage_changed', :at, 7, :at, 'live',
        :quality, '', CAST(:data AS json), 3, 9)
""")


async def fold(url: str, tenant: str, event_id: str, **changes: Any) -> None:
    """What the funnel would have kept."""
    at = datetime.fromisoformat(changes.pop("at", "2026-03-01T09:00:00+00:00"))
    data = {"deal_id": f"D-{event_id}", "stage_id": "a"}
    values = {
        "tenant": tenant,
        "id": event_id,
        "deal": data["deal_id"],
        "at": at,
        "quality": "given",
        "data": json.dumps(data, separators=(",", ":"), sort_keys=True),
    }
    database = Database(url, "headway_funnel_worker", pool_size=1)
    async with database.across_tenants() as tx:
        await tx.execute(FOLD, values | changes)
    await database.close()


async def test_waiting_ends_when_the_event_is_folded(api: Api, database_url: str) -> None:
    await api.post(stage_event("1"))
    params: dict[str, Any] = {"source": "/crm", "wait": "folded", "timeout": 30}
    waiting = asyncio.create_task(api.client.get("/v1/events/1", params=params))
    await asyncio.sleep(0)
    await fold(database_url, api.tenant, "1")
    shown = (await asyncio.wait_for(waiting, 20)).json()
    assert shown["state"] == "folded"
    assert shown["folded_at"] is not None


async def test_waiting_is_bounded_and_an_unknown_event_is_404_after_it(api: Api) -> None:
    await api.post(stage_event("1"))
    params: dict[str, Any] = {"source": "/crm", "wait": "folded", "timeout": 0.1}
    assert (await api.client.get("/v1/events/1", params=params)).json()["state"] == "published"
    assert (await api.client.get("/v1/events/2", params=params)).status_code == 404
    for bad in ({"timeout": 31}, {"timeout": "x"}, {"wait": "won"}):
        answer = await api.client.get("/v1/events/1", params=params | bad)
        assert answer.status_code == 422, bad


async def exported(client: httpx.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get("/v1/events", params=params)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_an_export_can_be_filtered_and_imported_again(api: Api, database_url: str) -> None:
    for n in range(8):
        await fold(database_url, api.tenant, str(n), at=f"2026-03-0{n + 1}T09:00:00+00:00")
    await fold(database_url, api.tenant, "assumed", quality="assumed")
    await fold(database_url, api.tenant + "x", "foreign")
    lines = await exported(api.client)
    assert [line["id"] for line in lines] == ["0", "1", "2", "3", "4", "5", "6", "7", "assumed"]
    assert lines[0] == {
        "specversion": "1.0",
        "id": "0",
        "source": "/crm",
        "type": "deal.stage_changed",
        "time": "2026-03-01T09:00:00+00:00",
        "recordedtime": "2026-03-01T09:00:00+00:00",
        "sequence": "7",
        "data": {"deal_id": "D-0", "stage_id": "a"},
    }
    part = await exported(
        api.client, **{"from": "2026-03-03T09:00:00Z", "to": "2026-03-05T09:00:00Z"}
    )
    assert [line["id"] for line in part] == ["2", "3"]
    assert [line["id"] for line in await exported(api.client, deal_id="D-4")] == ["4"]
    assert await exported(api.client, type="deal.won") == []
    whole = (await api.client.get("/v1/events")).content
    headers = {"content-type": "application/x-ndjson"}
    rival = await api.new_tenant(api.tenant + "-copy")
    started = await rival.post("/v1/imports?recorded=occurred", content=whole, headers=headers)
    api.client = rival
    shown = await api.ended(started.json()["import_id"])
    assert (shown["accepted"], shown["rejected"]) == (9, 0)
    assert {str(e.recorded_at) for e in (envelope(api, n) for n in range(2))} == {
        "2026-03-01 09:00:00+00:00",
        "2026-03-02 09:00:00+00:00",
    }
    assert envelope(api).time_quality == "assumed"


async def test_only_admins_export(api: Api) -> None:
    key = await api.client.post("/v1/api-keys", json={"name": "r", "scopes": ["events:write"]})
    assert (await api.with_key(key.json()["key"]).get("/v1/events")).status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/v1/events/%00?source=/s", "/v1/events/x?source=%00", "/v1/events?deal_id=%00",
     "/v1/events?type=%00"],
)  # fmt: skip
async def test_reads_refuse_what_the_database_cannot_be_asked(api: Api, path: str) -> None:
    answer = await api.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [("/v1/api-keys", {"name": "n", "scopes": ["deals:read"]}, "shown once"),
     ("/v1/tenants", {"id": "t", "timezone": "UTC", "currency": "EUR"}, "shown once"),
     ("/v1/imports", {}, "adds nothing")],
)  # fmt: skip
async def test_what_cannot_answer_twice_refuses_idempotency_keys(
    api: Api, path: str, body: dict[str, Any], why: str
) -> None:
    client = api.operator if path == "/v1/tenants" else api.client
    answer = await client.post(path, json=body, headers={"Idempotency-Key": "abc"})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_supported_yet")
    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"
    assert why in answer.json()["detail"]


async def test_an_integer_beyond_reading_is_its_own_events_fault(api: Api) -> None:
    good = {"specversion": "1.0", "id": "g", "source": "/s", "type": "deal.created",
            "data": {"deal_id": "d"}}  # fmt: skip
    bad = json.dumps(good | {"id": "b", "data": {"deal_id": "d", "attributes": {"n": 0}}})
    body = f"[{json.dumps(good)}, {bad.replace('0}', '9' * 4_301 + '}')}]"
    headers = {"Content-Type": "application/json"}
    answer = await api.client.post("/v1/events", content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    assert [r["status"] for r in answer.json()["results"]] == ["accepted", "rejected"]
