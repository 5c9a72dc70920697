"""Redriving what connections put aside: translated anew by the connection of today."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from libs.common.contracts.envelope import Envelope, from_headers
from tests.integration.ingest.burying import Graveyard, graveyard
from tests.integration.ingest.conftest import Api
from tests.integration.ingest.connecting import (
    HUBSPOT_URL,
    body_of,
    deliver,
    hubspot_v3,
    put,
    signed,
)
from tests.integration.ingest.fakes import stage_event

pytestmark = pytest.mark.postgres
SECRET = "a-client-secret-of-hubspot"


@pytest.fixture
async def dead(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Graveyard]:
    tenant = "t" + format(abs(hash(request.node.name)), "x")
    async with graveyard(database_url, tmp_path, tenant) as here:
        yield here


def api_of(dead: Graveyard) -> Api:
    """A graveyard has all of an `Api` that deliveries need."""
    return cast(Api, dead)


async def hubspot(dead: Graveyard) -> str:
    own = f"hub-{dead.tenant}"
    await put(api_of(dead), own, kind="hubspot", secrets=[SECRET], public_url=HUBSPOT_URL)
    return own


async def amounts(dead: Graveyard, own: str, *given: str, **more: Any) -> dict[str, Any]:
    """A delivery with a change of each deal's amount."""
    parts = [
        {"eventId": n, "subscriptionType": "deal.propertyChange", "objectId": 10 + n,
         "propertyName": "amount", "propertyValue": amount, "occurredAt": 1772355600000 + n}
        | more
        for n, amount in enumerate(given)
    ]  # fmt: skip
    body = json.dumps(parts).encode()
    answer = await deliver(api_of(dead), own, body, hubspot_v3(body, SECRET))
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def mend(dead: Graveyard, own: str, **changes: Any) -> None:
    path = f"/v1/connections/{own}"
    held = await dead.client.get(path)
    told = {"kind": "hubspot", "public_url": HUBSPOT_URL} | changes
    headers = {"If-Match": held.headers["etag"]}
    answer = await dead.client.put(path, json=told, headers=headers)
    assert answer.status_code == 200, answer.text


def entered(dead: Graveyard) -> list[Envelope]:
    return [from_headers(record.headers, record.value) for record in dead.records()]


async def test_it_enters_once_the_connection_is_mended(dead: Graveyard) -> None:
    own = await hubspot(dead)
    told = await amounts(dead, own, "-50", "7")
    assert (told["accepted"], told["rejected"]) == (1, 1)
    (letter,) = await dead.listed()
    assert (letter["mended_by"], letter["deal_id"]) == ("redrive", "10")
    (still,) = (await dead.redrive(ids=[letter["id"]]))["results"]
    assert (still["status"], still["code"]) == ("refused", "invalid_field")
    await mend(dead, own, field_map={"amount": "attributes.change"})
    tried = await dead.redrive(code="invalid_field", dry_run=True)
    assert [one["status"] for one in tried["results"]] == ["would_redrive"]
    assert len(entered(dead)) == 1
    (done,) = (await dead.redrive(code="invalid_field"))["results"]
    assert done["status"] == "redriven"
    event = entered(dead)[-1]
    assert (event.source, event.id) == (f"/connections/{own}", done["event_id"])
    assert json.loads(event.data)["changes"] == {"attributes.change": "-50"}
    assert (await dead.client.get(f"/v1/events/{event.id}")).json()["state"] == "published"
    shown = await dead.whole(letter["id"])
    assert (shown["state"], shown["history"][0]["action"]) == ("redriven", "redriven")


async def test_it_is_listed_and_redriven_by_its_deal(dead: Graveyard) -> None:
    own = await hubspot(dead)
    await amounts(dead, own, "-50", "-60")
    await mend(dead, own, field_map={"amount": "attributes.change"})
    (letter,) = await dead.listed(deal_id="11")
    told = await dead.redrive(deal_id="11")
    assert [(one["id"], one["status"]) for one in told["results"]] == [(letter["id"], "redriven")]
    assert [one["deal_id"] for one in await dead.listed(state="open")] == ["10"]


async def test_a_retry_of_the_crm_meets_its_letter(dead: Graveyard) -> None:
    own = await hubspot(dead)
    for attempt in range(3):
        await amounts(dead, own, "-50", attemptNumber=attempt)
    (letter,) = await dead.listed()
    await mend(dead, own, field_map={"amount": "attributes.change"})
    assert (await dead.redrive(deal_id="10"))["redriven"] == 1
    await amounts(dead, own, "-50", attemptNumber=3)
    assert [one["id"] for one in await dead.listed()] == [letter["id"]]


async def test_delivered_again_it_is_a_duplicate(dead: Graveyard) -> None:
    own = await hubspot(dead)
    await amounts(dead, own, "-50")
    await mend(dead, own, field_map={"amount": "attributes.change"})
    assert (await dead.redrive(code="invalid_field"))["redriven"] == 1
    told = await amounts(dead, own, "-50")
    assert (told["accepted"], told["duplicates"]) == (0, 1)
    again = (await dead.redrive(code="invalid_field"))["results"]
    assert again == []


async def test_an_event_that_collides_has_a_letter_of_its_own(dead: Graveyard) -> None:
    """HubSpot tells who did it beside what names the event; the other part of the body enters."""
    own = await hubspot(dead)
    told = [
        {"subscriptionType": "deal.deletion", "objectId": n, "occurredAt": 1772355600000}
        for n in range(1_001)
    ]
    first, rest = told[0] | {"sourceId": "userId:7"}, told[1:]
    for parts in ([told[0]], [first, *rest]):
        body = json.dumps(parts).encode()
        assert (await deliver(api_of(dead), own, body, hubspot_v3(body, SECRET))).is_success
    (done,) = (await dead.redrive(code="too_many_parts"))["results"]
    assert done["status"] == "redriven"
    assert len(entered(dead)) == 1_001
    (letter,) = await dead.listed(code="conflict")
    event = entered(dead)[0]
    assert (letter["event_id"], letter["source"], letter["deal_id"]) == (
        event.id,
        event.source,
        "0",
    )
    assert json.loads((await dead.whole(letter["id"]))["body"])["actor_id"] == "userId:7"
    assert (await dead.client.get(f"/v1/events/{event.id}")).json()["state"] == "conflict"


async def test_of_a_connection_that_is_gone_it_stays(dead: Graveyard) -> None:
    own = await hubspot(dead)
    await amounts(dead, own, "-50")
    path = f"/v1/connections/{own}"
    held = await dead.client.get(path)
    gone = await dead.client.delete(path, headers={"If-Match": held.headers["etag"]})
    assert gone.status_code == 204, gone.text
    (told,) = (await dead.redrive(code="invalid_field"))["results"]
    assert (told["status"], told["code"]) == ("refused", "connection_deleted")
    assert [one["state"] for one in await dead.listed()] == ["open"]


async def test_it_enters_beside_letters_of_readers(dead: Graveyard) -> None:
    own = await hubspot(dead)
    await amounts(dead, own, "-50")
    (record,) = await dead.accepted(stage_event("e1"))
    await dead.bury(record)
    await dead.read()
    await mend(dead, own, field_map={"amount": "attributes.change"})
    ids = [letter["id"] for letter in await dead.listed()]
    told = await dead.redrive(ids=ids)
    assert (told["redriven"], told["refused"]) == (2, 0)


async def test_what_the_catalogue_refuses_of_a_sender_says_so_again(dead: Graveyard) -> None:
    own = f"std-{dead.tenant}"
    await put(api_of(dead), own)
    body = body_of(nonsense=1)
    await deliver(api_of(dead), own, body, signed(body))
    (told,) = (await dead.redrive(code="unknown_field"))["results"]
    assert (told["status"], told["code"]) == ("refused", "unknown_field")
    assert entered(dead) == []


async def test_long_fractions_enter_at_once(dead: Graveyard) -> None:
    own = await hubspot(dead)
    told = await amounts(dead, own, "333.3333333333")
    assert (told["accepted"], told["rejected"]) == (1, 0)
    assert json.loads(entered(dead)[0].data)["changes"] == {"amount": "333.333333"}


async def test_an_event_that_only_the_door_refuses_is_asked_about_again(dead: Graveyard) -> None:
    """Its letter holds the event itself, with what it is in headers."""
    own = f"std-{dead.tenant}"
    await put(api_of(dead), own)
    body = json.dumps({"type": "vendor.thing", "data": {"text": "x" * 300_000}}).encode()
    answer = await deliver(api_of(dead), own, body, signed(body))
    assert answer.json()["rejected"] == 1, answer.text
    (letter,) = await dead.listed()
    assert letter["event_id"] == "msg1"
    (told,) = (await dead.redrive(ids=[letter["id"]]))["results"]
    assert (told["status"], told["code"]) == ("refused", letter["code"])
    assert entered(dead) == []


async def test_what_came_is_shown_to_the_byte_and_enters(dead: Graveyard) -> None:
    own = await hubspot(dead)
    change = (
        '{"subscriptionType": "deal.propertyChange", "objectId": 7.0, "propertyName": "amount",'
        ' "propertyValue": -5.00, "occurredAt": 1772355600000}'
    )
    other = '{"x" : 1.50}'
    body = f"[ {change} ,{other} ]".encode()
    answer = await deliver(api_of(dead), own, body, hubspot_v3(body, SECRET))
    assert answer.json()["rejected"] == 2, answer.text
    shown = [await dead.whole(letter["id"]) for letter in await dead.listed()]
    assert {one["body"] for one in shown} == {change, other}
    await mend(dead, own, field_map={"amount": "attributes.change"})
    assert (await dead.redrive(deal_id="7"))["redriven"] == 1
    assert json.loads(entered(dead)[0].data)["changes"] == {"attributes.change": -5.0}


async def test_a_body_of_too_many_parts_enters_whole(dead: Graveyard) -> None:
    own = await hubspot(dead)
    given = [str(n) for n in range(1_500)]
    assert (await amounts(dead, own, *given))["rejected"] == 1
    (letter,) = await dead.listed()
    assert (letter["code"], letter["mended_by"]) == ("too_many_parts", "redrive")
    (told,) = (await dead.redrive(ids=[letter["id"]]))["results"]
    assert told["status"] == "redriven", told
    assert len({event.id for event in entered(dead)}) == len(entered(dead)) == 1_500
    shown = await dead.whole(letter["id"])
    assert (shown["state"], len(shown["history"])) == ("redriven", 1)
    again = await amounts(dead, own, *given[:700])
    assert (again["accepted"], again["duplicates"]) == (0, 700)
    last = entered(dead)[-1].id
    assert (await dead.client.get(f"/v1/events/{last}")).json()["state"] == "published"
