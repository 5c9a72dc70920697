"""`/v1/mappings`, and imports that are read by them, over HTTP."""

import gzip
import json
from typing import Any

import pytest
from sqlalchemy import text

from tests.integration.ingest.conftest import Api
from tests.integration.ingest.fakes import ndjson

pytestmark = pytest.mark.postgres
CSV = {"content-type": "text/csv; charset=utf-8"}
DOCUMENT: dict[str, Any] = {
    "kind": "csv",
    "decimal": ",",
    "dialect": {"delimiter": ";"},
    "events": [
        {
            "type": "deal.created", "id": "nr", "time": "day",
            "data": {"deal_id": "nr", "amount": "value", "currency": "'EUR'"},
        },
        {"when": "row.stage != ''", "type": "deal.stage_changed", "id": "row.nr + '-s'",
         "time": "day", "data": {"deal_id": "nr", "stage_id": "stage"}},
    ],
}  # fmt: skip
HEADER = "nr;value;stage;day\n"
GOOD = HEADER + "1;1.000,50;offer;2026-03-01\n2;7;;2026-03-02\n"


async def put(api: Api, document: Any = DOCUMENT, name: str = "m", **headers: str) -> Any:
    return await api.client.put(f"/v1/mappings/{name}", json=document, headers=headers)


async def start(api: Api, body: str | bytes, **params: Any) -> str:
    given = {"mapping": "m", **params}
    answer = await api.client.post("/v1/imports", content=body, headers=CSV, params=given)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["import_id"])


async def done(api: Api, body: str | bytes, **params: Any) -> dict[str, Any]:
    return await api.ended(await start(api, body, **params))


def counts(shown: dict[str, Any]) -> tuple[Any, ...]:
    names = ("state", "rows", "accepted", "duplicates", "rejected", "skipped")
    return tuple(shown[name] for name in names)


async def errors(api: Api, import_id: str) -> list[dict[str, Any]]:
    answer = await api.client.get(f"/v1/imports/{import_id}/errors")
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_a_mapping_is_published_read_replaced_and_deleted(api: Api) -> None:
    made = await put(api)
    assert (made.status_code, made.json()["version"]) == (201, 1)
    read = await api.client.get("/v1/mappings/m")
    assert (read.json(), read.headers["etag"]) == (made.json(), made.headers["etag"])
    assert read.json()["events"] == DOCUMENT["events"]
    assert (await put(api)).status_code == 428
    assert (await put(api, **{"If-Match": '"other"'})).status_code == 412
    again = await put(api, **{"If-Match": made.headers["etag"]})
    assert (again.status_code, again.json()["version"]) == (200, 1)
    changed = await put(api, DOCUMENT | {"zone": "Europe/Berlin"}, **{"If-Match": "*"})
    assert changed.json()["version"] == 2
    other = {"kind": "json", "events": DOCUMENT["events"]}
    assert (await put(api, other, **{"If-Match": "*"})).json()["errors"][0]["pointer"] == "/kind"
    assert [i["id"] for i in (await api.client.get("/v1/mappings")).json()["items"]] == ["m"]
    assert (await api.client.delete("/v1/mappings/m")).status_code == 204
    assert (await api.client.get("/v1/mappings/m")).status_code == 404
    versions = (await api.client.get("/v1/mappings/m/versions")).json()["items"]
    assert [(v["version"], v.get("deleted", False)) for v in versions] == [
        (3, True), (2, False), (1, False),
    ]  # fmt: skip
    assert (await put(api)).json()["version"] == 4


async def test_faults_of_expressions_are_told_with_their_place(api: Api) -> None:
    broken = {**DOCUMENT["events"][0], "when": "row.stage ==", "type": "deal.exploded"}
    answer = await put(api, DOCUMENT | {"events": [DOCUMENT["events"][1], broken]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_mapping")
    told = {e["pointer"]: e for e in answer.json()["errors"]}
    assert told["/events/1/when"]["code"] == "syntax"
    assert "line 1, column" in told["/events/1/when"]["detail"]
    assert told["/events/1/type"]["code"] == "unknown_type"
    unknown = await put(api, DOCUMENT | {"unheard": 1})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/unheard")


async def test_mappings_are_their_tenants_own(api: Api) -> None:
    await put(api)
    other = await api.new_tenant(api.tenant + "-other")
    assert (await other.get("/v1/mappings/m")).status_code == 404
    answer = await other.post("/v1/imports?mapping=m", content=GOOD, headers=CSV)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_mapping")


async def test_a_table_is_imported(api: Api) -> None:
    await put(api)
    shown = await done(api, GOOD)
    assert counts(shown) == ("done", 2, 3, 0, 0, 0)
    assert (shown["media"], shown["mapping_id"], shown["mapping_version"]) == ("csv", "m", 1)
    assert api.log.ids == ["1", "1-s", "2"]
    assert json.loads(api.log.records[0].value)["amount"] == "1000.50"
    assert counts(await done(api, GOOD)) == ("done", 2, 0, 3, 0, 0)


async def test_rejected_rows_are_told_as_people_number_them(api: Api) -> None:
    await put(api)
    body = HEADER + '1;1;a;2026-03-01\n2;"x\ny";a;2026-03-01\n\n3;1;a\n4;1;a;soon\n5;1;;2026-03-01'
    import_id = await start(api, body)
    assert counts(await api.ended(import_id)) == ("done", 6, 3, 0, 3, 1)
    told = await errors(api, import_id)
    assert [(e["row"], e["code"]) for e in told] == [
        (3, "invalid_field"), (5, "ragged_row"), (6, "invalid_field"),
    ]  # fmt: skip
    assert told[0]["raw"] == '2;"x\ny";a;2026-03-01'
    assert told[0]["detail"].startswith("/events/0/data/amount: ")


async def test_a_dry_run_shows_what_would_be_made(api: Api) -> None:
    await put(api)
    body = gzip.compress(GOOD.encode())
    answer = await api.client.post(
        "/v1/imports", content=body, headers=CSV | {"content-encoding": "gzip"},
        params={"mapping": "m", "dry_run": "true"},
    )  # fmt: skip
    shown = await api.ended(answer.json()["import_id"])
    assert counts(shown) == ("done", 2, 3, 0, 0, 0)
    assert api.log.appends == 0
    assert [event["id"] for event in shown["sample"]] == ["1", "1-s", "2"]
    assert shown["sample"][0] == {
        "id": "1", "source": "/mappings/m", "type": "deal.created", "sequence": None,
        "time": "2026-03-01T00:00:00+00:00",
        "data": {"deal_id": "1", "amount": "1000.50", "currency": "EUR"},
    }  # fmt: skip
    assert (await done(api, GOOD))["sample"] is None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("nr;value\n1;2\n", "lacks: 'day', 'stage'"),
        ("nr,value,stage,day\n", "its delimiter seems to be ','"),
        ("", "empty"),
        ('"nr\n', "header cannot be read"),
    ],
)
async def test_a_file_for_another_mapping_is_refused_before_any_row(
    api: Api, body: str, told: str
) -> None:
    await put(api)
    answer = await api.client.post("/v1/imports?mapping=m", content=body, headers=CSV)
    assert (answer.status_code, answer.json()["code"]) == (422, "header_mismatch")
    assert told in answer.json()["detail"]
    assert list(api.service.state.files._folder.iterdir()) == []


async def test_what_does_not_go_together_is_refused(api: Api) -> None:
    await put(api)
    await put(
        api, {"kind": "json", "events": [{"type": "deal.won", "data": {"deal_id": "x"}}]}, "j"
    )
    for params, headers, code in (
        ({}, CSV, "invalid_parameter"),
        ({"mapping": "gone"}, CSV, "unknown_mapping"),
        ({"mapping": "j"}, CSV, "mapping_kind"),
        ({"mapping": "m"}, {"content-type": "application/x-ndjson"}, "mapping_kind"),
    ):
        answer = await api.client.post("/v1/imports", content=b"a", headers=headers, params=params)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_lines_of_another_shape(api: Api) -> None:
    event = {
        "type": "deal.stage_changed", "id": "row.key", "time": "row.at",
        "data": {"deal_id": "row.deal.id", "stage_id": "row.stage"},
    }  # fmt: skip
    await put(api, {"kind": "json", "date_formats": ["epoch_ms"], "events": [event]}, "j")
    at = 1_772_442_000_000
    body = ndjson(
        {"key": "a", "at": at, "deal": {"id": 7}, "stage": "x"},
        {"key": "b", "at": at, "deal": None, "stage": "x"},
        [{"key": "c", "at": at, "deal": {"id": 8}, "stage": "y"}],
        {"key": "d"},
    )
    answer = await api.client.post(
        "/v1/imports?mapping=j", content=body, headers={"content-type": "application/x-ndjson"}
    )
    shown = await api.ended(answer.json()["import_id"])
    assert counts(shown) == ("done", 4, 2, 0, 2, 0)
    assert api.log.ids == ["a", "c"]


async def test_an_import_keeps_the_version_that_it_began_with(api: Api) -> None:
    await put(api)
    import_id = await start(api, GOOD)
    later = DOCUMENT | {"events": DOCUMENT["events"][:1]}
    assert (await put(api, later, **{"If-Match": "*"})).json()["version"] == 2
    assert (await api.client.delete("/v1/mappings/m")).status_code == 204
    assert counts(await api.ended(import_id)) == ("done", 2, 3, 0, 0, 0)


async def test_audited(api: Api) -> None:
    await put(api)
    async with api.service.state.database.for_tenant(api.tenant) as tx:
        found = await tx.execute(text("SELECT action, object FROM ingest.audit ORDER BY at"))
        assert ("mapping.published", "mapping m version 1") in [tuple(row) for row in found]
