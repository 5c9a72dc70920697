"""A source that numbers its deliveries: what did not come is told until it is made good."""

import json
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from tests.integration.ingest.conftest import Api
from tests.integration.ingest.connecting import KEY, body_of, deliver, put, signed, standard

pytestmark = pytest.mark.postgres
COUNTER = "/data/number"


async def sent(api: Api, connection_id: str, *numbers: Any) -> None:
    for number in numbers:
        told = json.loads(body_of("deal.note", text="x")) | {"number": number}
        body = json.dumps({"data": {"number": number}, **told}).encode()
        answer = await deliver(api, connection_id, body, signed(body, KEY, f"m{number}"))
        assert answer.status_code == 202, answer.text
    await cast(Any, api.service.state).counting.write()


async def shown(api: Api, connection_id: str) -> dict[str, Any]:
    return dict((await api.client.get(f"/v1/connections/{connection_id}")).json())


async def missing_connections(api: Api) -> float:
    state = cast(Any, api.service.state)
    await state.counting.look(state.clock.now())
    return REGISTRY.get_sample_value("headway_ingest_connections_missing") or 0


async def test_numbers_that_did_not_come_are_a_gap_until_they_do(api: Api) -> None:
    own = standard(api)
    made = await put(api, own, counter="/number")
    assert (made.json()["gap"], made.json()["counted"]) == (None, None)
    before = await missing_connections(api)
    await sent(api, own, 7, 8, 12, 15)
    told = await shown(api, own)
    assert told["gap"] == {
        "missing": [{"from": 9, "to": 11}, {"from": 13, "to": 14}], "missing_count": 5,
    }  # fmt: skip
    assert told["counted"] == {
        "highest": 15, "given_up": 0, "restarts": 0, "restarted_at": None,
    }  # fmt: skip
    (listed,) = (await api.client.get("/v1/connections")).json()["items"]
    assert listed["gap"] == {"missing_count": 5}
    assert await missing_connections(api) == before + 1
    await sent(api, own, 14, 10, 12, 9, 13, 11)
    assert (await shown(api, own))["gap"] is None
    assert await missing_connections(api) == before


async def test_a_gap_that_an_import_filled_is_marked_so(api: Api) -> None:
    own = standard(api)
    await put(api, own, counter="/number")
    await sent(api, own, 1, 5, "7")
    path, wanted = f"/v1/connections/{own}/missing/done", {"missing": [{"from": 3, "to": 90}]}
    done = await api.client.post(path, json=wanted)
    assert (done.status_code, done.json()) == (200, {"done": 3})
    assert (await api.client.post(path, json=wanted)).json() == {"done": 0}
    await sent(api, own, 9)
    assert (await shown(api, own))["gap"]["missing"] == [
        {"from": 2, "to": 2},
        {"from": 8, "to": 8},
    ]
    wrongs: list[Any] = [[], [{"from": -1, "to": 2}], [{"to": 2}]]
    for wrong in wrongs:
        assert (await api.client.post(path, json={"missing": wrong})).status_code == 422
    other = await api.new_tenant(api.tenant + "-other")
    assert (await other.post(path, json=wanted)).status_code == 404


async def test_a_source_that_counts_anew_says_so(api: Api) -> None:
    own = standard(api)
    await put(api, own, counter="/number")
    await sent(api, own, 500, 502)
    await sent(api, own, 1, 2, 4)
    told = await shown(api, own)
    assert told["gap"]["missing"] == [{"from": 3, "to": 3}]
    assert (told["counted"]["highest"], told["counted"]["restarts"]) == (4, 1)
    assert told["counted"]["restarted_at"] is not None


async def test_another_counter_begins_anew_and_none_counts_nothing(api: Api) -> None:
    own = standard(api)
    tag = (await put(api, own, counter="/number")).headers["etag"]
    await sent(api, own, 1, 5)
    path, body = f"/v1/connections/{own}", {"kind": "standard_webhooks"}
    changed = await api.client.put(path, json=body, headers={"If-Match": tag})
    assert (changed.json()["gap"], changed.json()["counted"]) == (None, None)
    await sent(api, own, 8)
    tag = changed.headers["etag"]
    again = await api.client.put(path, json=body | {"counter": COUNTER}, headers={"If-Match": tag})
    assert again.json()["counted"] is None
    told = json.loads(body_of()) | {"number": 3}
    for number in (70, 72):
        told["data"] = told["data"] | {"number": number}
        sent_ = json.dumps(told | {"type": "acme.note"}).encode()
        await deliver(api, own, sent_, signed(sent_, KEY, f"n{number}"))
    await cast(Any, api.service.state).counting.write()
    assert (await shown(api, own))["gap"]["missing"] == [{"from": 71, "to": 71}]


@pytest.mark.parametrize(
    ("counter", "kind"),
    [
        ("number", "standard_webhooks"), ("", "standard_webhooks"), ("/a~2", "standard_webhooks"),
        (7, "standard_webhooks"), ("/" + "x" * 200, "standard_webhooks"),
        ("/number", "salesforce_outbound"),
    ],
)  # fmt: skip
async def test_what_can_be_no_counter_is_refused(api: Api, counter: Any, kind: str) -> None:
    body = {"kind": kind, "secrets": ["00D000000000001"], "counter": counter}
    answer = await api.client.put(f"/v1/connections/{standard(api)}", json=body)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/counter"]


async def test_bodies_without_the_number_are_taken_all_the_same(api: Api) -> None:
    own = standard(api)
    await put(api, own, counter="/number")
    await sent(api, own, None, "x", 4)
    told = await shown(api, own)
    assert (told["counts"]["deliveries"], told["counted"]["highest"]) == (3, 4)
