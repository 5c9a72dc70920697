"""A record that the log refuses for good, as senders are told of it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from libs.common.eventlog.port import NewRecord, RecordTooLarge
from tests.integration.ingest.conftest import Api
from tests.integration.ingest.connecting import (
    HUBSPOT_URL,
    body_of,
    deliver,
    hubspot_v3,
    outbound_message,
    put,
    signed,
    standard,
)
from tests.integration.ingest.fakes import stage_event

pytestmark = pytest.mark.postgres
LONG = "s" * 200


def limit(api: Api, most: int | None) -> None:
    """Values of at most so many bytes, as a topic whose limit was lowered; `None` lifts it."""
    append = type(api.log).append

    async def limited(topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        if most is not None and any(len(record.value or b"") > most for record in records):
            raise RecordTooLarge("larger than the topic takes")
        return list(await append(api.log, topic, records))

    api.log.append = limited


async def letters(api: Api) -> list[dict[str, Any]]:
    return list((await api.client.get("/v1/dead-letters")).json()["items"])


async def test_in_a_batch_it_is_told_in_its_place_and_the_others_are_accepted(api: Api) -> None:
    limit(api, 200)
    batch = [stage_event("1"), stage_event("2", LONG), stage_event("3")]
    answer = await api.post(*batch)
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["rejected"]) == (202, 2, 1)
    refused = {"id": "2", "status": "rejected", "code": "refused_by_log"}
    refused["detail"] = "larger than the topic takes"
    errors = [{"pointer": "", "code": refused["code"], "detail": refused["detail"]}]
    assert told["results"][1] == refused | {"errors": errors}
    assert api.log.ids == ["1", "3"]
    assert await letters(api) == [], "its sender was told"
    limit(api, None)
    again = (await api.post(*batch)).json()
    assert [one["status"] for one in again["results"]] == ["duplicate", "accepted", "duplicate"]


async def test_alone_it_is_413(api: Api) -> None:
    limit(api, 200)
    answer = await api.post(stage_event("1", LONG))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_batch_of_which_all_are_refused_is_422_with_places(api: Api) -> None:
    limit(api, 200)
    answer = await api.post(stage_event("1", LONG), stage_event("2", LONG))
    assert (answer.status_code, answer.json()["code"]) == (422, "all_rejected")
    told = [(error["pointer"], error["code"]) for error in answer.json()["errors"]]
    assert told == [("/0", "refused_by_log"), ("/1", "refused_by_log")]


def stages(*stages: str) -> bytes:
    """As HubSpot tells them."""
    return json.dumps([
        {
            "eventId": number, "subscriptionType": "deal.propertyChange", "portalId": 1,
            "occurredAt": 1772355600000 + number, "objectId": number, "attemptNumber": 0,
            "propertyName": "dealstage", "propertyValue": stage,
        }
        for number, stage in enumerate(stages)
    ]).encode()  # fmt: skip


async def test_of_a_crm_s_delivery_it_becomes_a_letter_and_the_others_events(api: Api) -> None:
    own = standard(api, "hub")
    await put(api, own, kind="hubspot", secrets=["a secret"], public_url=HUBSPOT_URL)
    limit(api, 200)
    body = stages("a", LONG, "b")
    for accepted, duplicates in ((2, 0), (0, 2)):
        answer = await deliver(api, own, body, hubspot_v3(body, "a secret"))
        told = {"accepted": accepted, "duplicates": duplicates, "rejected": 1, "refreshes": 0}
        assert (answer.status_code, answer.json()) == (202, told)
    (letter,) = await letters(api)
    assert (letter["code"], letter["detail"]) == ("refused_by_log", "larger than the topic takes")
    assert (letter["source"], letter["mended_by"]) == (f"/connections/{own}", "redrive")
    limit(api, None)
    redriven = await api.client.post("/v1/dead-letters/redrive", json={"ids": [letter["id"]]})
    assert [one["status"] for one in redriven.json()["results"]] == ["redriven"], redriven.text
    assert len(api.log.ids) == 3


async def test_a_crm_s_only_event_becomes_a_letter_and_is_no_4xx(api: Api) -> None:
    own, body = standard(api), body_of(name=LONG)
    await put(api, own)
    limit(api, 200)
    answer = await deliver(api, own, body, signed(body))
    assert (answer.status_code, answer.json()["rejected"]) == (202, 1)
    assert [letter["code"] for letter in await letters(api)] == ["refused_by_log"]


async def test_salesforce_is_told_that_all_of_it_is_durable(api: Api) -> None:
    own = standard(api, "sf")
    await put(api, own, kind="salesforce_outbound", secrets=["00D000000000001"])
    limit(api, 10)
    answer = await deliver(api, own, outbound_message("00D000000000001"), {})
    assert (answer.status_code, b"<Ack>true</Ack>" in answer.content) == (200, True), answer.text
    assert {letter["code"] for letter in await letters(api)} == {"refused_by_log"}
