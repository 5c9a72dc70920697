"""Record mode: deliveries are kept redacted, beside the way in, as many and as long as promised."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import pytest
from prometheus_client import REGISTRY

from services.ingest.adapters import recordings
from services.ingest.app import recording
from services.ingest.app.ports import IndexUnavailable
from services.ingest.domain.crm.model import Delivery, Translation
from services.ingest.domain.recording import Taken
from tests.integration.ingest.conftest import Api
from tests.integration.ingest.connecting import KEY, body_of, deliver, put, signed, standard

pytestmark = pytest.mark.postgres
NAME = "Zelda Quaternion"


def ahead(**by: float) -> str:
    return (datetime.now(UTC) + timedelta(**by)).isoformat()


def recorder_of(api: Api) -> Any:
    return cast(Any, api.service.state).receiver._recorder


async def sent(api: Api, connection_id: str, message: str, body: bytes | None = None) -> int:
    content = body_of(name=NAME, stage_id="Closed Won") if body is None else body
    answer = await deliver(api, connection_id, content, signed(content, KEY, message))
    return answer.status_code


async def listed(api: Api, connection_id: str, query: str = "") -> dict[str, Any]:
    await recorder_of(api).write()
    answer = await api.client.get(f"/v1/connections/{connection_id}/deliveries{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def recorded(outcome: str) -> float:
    name = "headway_ingest_deliveries_recorded_total"
    return REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0


async def test_deliveries_are_recorded_without_what_tells_of_people(
    api: Api, database_url: str
) -> None:
    own = standard(api)
    await put(api, own, record_until=ahead(days=13))
    assert await sent(api, own, "m1") == 202
    assert await sent(api, own, "m1") == 202
    assert await sent(api, own, "m2", b"not JSON") == 400
    assert await sent(api, own, "m3", body_of(amount="much")) == 202
    assert (await deliver(api, own, body_of(), {})).status_code == 401
    items = (await listed(api, own))["items"]
    verdicts = ["rejected", "unreadable", "duplicate", "accepted"]
    assert [one["verdict"] for one in items] == verdicts, "and nothing that is not proven"
    first = items[-1]
    (event,) = first["events"]
    assert (event["id"], event["type"], event["status"]) == ("m1", "deal.created", "accepted")
    assert (event["data"]["deal_id"], event["data"]["stage_id"]) == ("D-1", "Closed Won")
    assert event["data"]["name"] == json.loads(first["body"])["data"]["name"] != NAME
    assert first["headers"]["webhook-id"] == "m1"
    assert "webhook-signature" not in first["headers"]
    assert items[1]["body"] is None
    tried = await api.client.post(f"/v1/connections/{own}/test", json={"body": first["body"]})
    assert [one["data"] for one in tried.json()["events"]] == [event["data"]]
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch("SELECT d::text AS row FROM ingest.deliveries d")
    finally:
        await connection.close()
    assert [row for row in rows if "Zelda" in row["row"] or "Quaternion" in row["row"]] == []


async def test_they_come_in_pages_newest_first(api: Api) -> None:
    own = standard(api)
    await put(api, own, record_until=ahead(hours=1))
    for number in range(5):
        await sent(api, own, f"m{number}", body_of(name=f"n{number}"))
    names, query = [], "?limit=2"
    while True:
        page = await listed(api, own, query)
        names += [one["headers"]["webhook-id"] for one in page["items"]]
        if not page["has_more"]:
            break
        query = f"?limit=2&cursor={page['next_cursor']}"
    assert names == ["m4", "m3", "m2", "m1", "m0"]
    assert (await api.client.delete(f"/v1/connections/{own}/deliveries")).status_code == 204
    assert (await listed(api, own))["items"] == []


async def test_it_is_off_unless_asked_for_and_ends_by_itself(api: Api) -> None:
    own = standard(api)
    tag = (await put(api, own)).headers["etag"]
    await sent(api, own, "m1")
    path, body = f"/v1/connections/{own}", {"kind": "standard_webhooks"}
    over = body | {"record_until": ahead(seconds=-1)}
    assert (await api.client.put(path, json=over, headers={"If-Match": tag})).status_code == 200
    await sent(api, own, "m2")
    assert (await listed(api, own))["items"] == []
    tag = (await api.client.get(path)).headers["etag"]
    too_long = body | {"record_until": ahead(days=14, minutes=1)}
    refused = await api.client.put(path, json=too_long, headers={"If-Match": tag})
    assert refused.status_code == 422
    assert [one["pointer"] for one in refused.json()["errors"]] == ["/record_until"]


async def test_only_who_may_configure_sees_them(api: Api) -> None:
    own = standard(api)
    await put(api, own, record_until=ahead(days=1))
    path = f"/v1/connections/{own}/deliveries"
    wanted = {"name": "r", "scopes": ["events:write", "deals:read"]}
    weak = api.with_key((await api.client.post("/v1/api-keys", json=wanted)).json()["key"])
    other = await api.new_tenant(api.tenant + "-other")
    for method in ("GET", "DELETE"):
        assert (await weak.request(method, path)).status_code == 403
        assert (await other.request(method, path)).status_code == 404
    assert (await api.client.get(path + "?limit=101")).status_code == 422


async def test_a_deleted_connection_leaves_none(api: Api) -> None:
    own = standard(api)
    await put(api, own, record_until=ahead(days=1))
    await sent(api, own, "m1")
    await listed(api, own)
    await sent(api, own, "m2")  # not yet written
    await api.client.delete(f"/v1/connections/{own}")
    await put(api, own)
    assert (await listed(api, own))["items"] == []


async def test_recording_never_fails_a_delivery(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    own = standard(api)
    await put(api, own, record_until=ahead(days=1))
    recorder = recorder_of(api)

    class Away:
        async def keep(self, kept: Any) -> None:
            raise IndexUnavailable("away")

    before = recorded("failed"), recorded("dropped")
    with monkeypatch.context() as patched:
        patched.setattr(recorder, "_recordings", Away())
        assert await sent(api, own, "m1") == 202
        await recorder.write()
        patched.setattr(recording, "recorded", None)  # redaction breaks
        assert await sent(api, own, "m2") == 202
        await recorder.write()
        patched.setattr(recording, "MOST", 0)
        assert await sent(api, own, "m3") == 202
    assert (recorded("failed"), recorded("dropped")) == (before[0] + 2, before[1] + 1)
    assert await sent(api, own, "m4") == 202
    assert [one["headers"]["webhook-id"] for one in (await listed(api, own))["items"]] == ["m4"]


async def test_the_newest_are_kept_for_thirty_days(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = standard(api)
    await put(api, own, record_until=ahead(days=1))
    recorder = recorder_of(api)
    live = await cast(Any, api.service.state).lookup.live(own)
    now = datetime.now(UTC)

    def offer(message: str, age: timedelta) -> None:
        delivery = Delivery(b"{}", {"webhook-id": message})
        recorder.offer(Taken(live, delivery, now - age, Translation()))

    monkeypatch.setattr(recordings, "MOST", 3)
    for days in (31, 29, 2):
        offer(f"m{days}", timedelta(days=days))
    names = [one["headers"]["webhook-id"] for one in (await listed(api, own))["items"]]
    assert names == ["m2", "m29"], "older ones are not shown"
    await recorder._prune()
    offer("m1", timedelta(days=1))
    names = [one["headers"]["webhook-id"] for one in (await listed(api, own))["items"]]
    assert names == ["m1", "m2", "m29"], "nor do they take room"
    offer("m0", timedelta())
    names = [one["headers"]["webhook-id"] for one in (await listed(api, own))["items"]]
    assert names == ["m0", "m1", "m2"]
