"""`generic` connections over HTTP: their mapping, deliveries, the test of a sample."""

import json
from typing import Any

import httpx
import pytest

from tests.integration.ingest.conftest import Api
from tests.integration.ingest.connecting import standard

pytestmark = pytest.mark.postgres
MAPPING: dict[str, Any] = {
    "kind": "json",
    "events": [
        {"type": "deal.stage_changed", "id": "key",
         "data": {"deal_id": "deal", "stage_id": "row.to.stage"}}
    ],
}  # fmt: skip
BODY = {"key": "k1", "deal": 7, "to": {"stage": "9"}}
PASSWORD = "a password that nobody guesses"


async def mapped(api: Api, document: Any = MAPPING, name: str = "m", **headers: str) -> None:
    answer = await api.client.put(f"/v1/mappings/{name}", json=document, headers=headers)
    assert answer.status_code in (200, 201), answer.text


async def connect(api: Api, **changes: Any) -> httpx.Response:
    body = {
        "kind": "generic",
        "secrets": [f"u:{PASSWORD}"],
        "mapping_id": "m",
        "id_prefix": "x-",
    } | changes
    given = {name: value for name, value in body.items() if value is not None}
    return await api.client.put(f"/v1/connections/{standard(api)}", json=given)


async def deliver(api: Api, body: Any, auth: tuple[str, str] = ("u", PASSWORD)) -> httpx.Response:
    path = f"/v1/webhooks/{standard(api)}"
    return await api.with_key(None).post(path, json=body, auth=auth)


async def test_deliveries_are_translated_by_the_mapping(api: Api) -> None:
    await mapped(api)
    assert (await connect(api)).status_code == 201
    assert (await deliver(api, BODY)).json()["accepted"] == 1
    assert (await deliver(api, BODY)).json()["duplicates"] == 1
    assert json.loads(api.log.records[0].value) == {"deal_id": "x-7", "stage_id": "9"}
    assert (await deliver(api, BODY, ("u", "q"))).status_code == 401
    rotten = await deliver(api, [{"deal": 8}, BODY | {"key": "k2"}])
    assert (rotten.status_code, rotten.json()["accepted"], rotten.json()["rejected"]) == (202, 1, 1)


async def test_a_sample_is_tried(api: Api) -> None:
    await mapped(api)
    await connect(api)
    answer = await api.client.post(f"/v1/connections/{standard(api)}/test", json={"body": BODY})
    (event,) = answer.json()["events"]
    assert (event["id"], event["data"]["deal_id"], event["status"]) == ("k1", "x-7", "accepted")
    assert api.log.appends == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"mapping_id": None}, "missing_field"),
        ({"mapping_id": "gone"}, "unknown_mapping"),
        ({"mapping_id": "table"}, "mapping_kind"),
        ({"kind": "pipedrive"}, "invalid_field"),
    ],
)
async def test_only_generic_has_a_mapping_and_one_for_bodies(
    api: Api, changes: dict[str, Any], code: str
) -> None:
    await mapped(api)
    await mapped(api, MAPPING | {"kind": "csv"}, "table")
    answer = await connect(api, **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["errors"][0]["pointer"] == "/mapping_id"


async def test_a_mapping_in_use_is_not_deleted_and_its_next_version_counts(api: Api) -> None:
    await mapped(api)
    await connect(api)
    refused = await api.client.delete("/v1/mappings/m")
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    assert standard(api) in refused.json()["detail"]
    await deliver(api, BODY)
    changed = json.loads(json.dumps(MAPPING))
    changed["events"][0]["data"]["actor_id"] = "'robot'"
    await mapped(api, changed, **{"If-Match": "*"})
    api.service.state.lookup.forget(standard(api))
    await deliver(api, BODY | {"key": "k2"})
    assert json.loads(api.log.records[1].value)["actor_id"] == "robot"
    assert (await api.client.delete(f"/v1/connections/{standard(api)}")).status_code == 204
    assert (await api.client.delete("/v1/mappings/m")).status_code == 204
