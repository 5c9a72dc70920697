"""Deliveries as they were published, where the data folder has them: none of them is ours."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.funnel.domain.old_values import OldValue
from services.ingest.domain.crm import close, hubspot, hubspot_signatures, pipedrive
from services.ingest.domain.crm.model import Connection, Delivery
from tests.real.data import file
from tests.unit.ingest.crm.checks import NOW, delivery, moments

HERE = Connection("c")


def body(name: str) -> bytes:
    return file(f"webhooks/{name}").read_bytes()


def test_hubspot_vectors() -> None:
    """Of the first two versions, which a connection takes alone only if its owner says so."""
    given = json.loads(body("hubspot/signature-vectors.json"))
    for vector in given["vectors"]:
        headers = {
            "x-hubspot-signature": vector["signature"],
            "x-hubspot-signature-version": vector["version"],
        }
        vectored = Delivery(vector["body"].encode(), headers, method=vector.get("method", "POST"))
        connection = Connection(
            "c",
            secrets=(given["client_secret"],),
            public_url=vector.get("url"),
            weakest_signature="v1",
        )
        assert hubspot_signatures.verify(vectored, connection, NOW) == 0


def test_the_hubspot_body_is_a_contact_and_skipped() -> None:
    told = hubspot.translate(Delivery(body("hubspot/contact-creation.body.json"), {}), HERE)
    assert [event.type for event in told.events] == ["hubspot.contact.creation"]


@pytest.mark.parametrize(
    ("name", "types", "subject"),
    [
        ("deal-create", ["deal.created"], {"deal_id": "8"}),
        ("deal-change", ["deal.updated"], {"deal_id": "8"}),
        ("deal-delete", ["deal.deleted"], {"deal_id": "8"}),
        ("activity-create", ["activity.scheduled"], {"activity_id": "2", "deal_id": "10"}),
        ("activity-change", ["activity.scheduled"], {"activity_id": "2", "deal_id": "10"}),
        ("activity-delete", ["activity.cancelled"], {"activity_id": "2", "deal_id": "10"}),
    ],
)
def test_pipedrive(name: str, types: list[str], subject: dict[str, Any]) -> None:
    told = pipedrive.translate(Delivery(body(f"pipedrive-v2/{name}.json"), {}), HERE)
    assert not told.puzzles
    assert [event.type for event in told.events] == types
    assert subject.items() <= told.events[0].data.items()
    assert told.events[0].id == json.loads(body(f"pipedrive-v2/{name}.json"))["meta"]["id"]


def test_the_won_opportunity_of_close() -> None:
    told = close.translate(Delivery(body("close/opportunity-won.json"), {}), HERE)
    moved, won = told.events
    assert (moved.type, won.type) == ("deal.stage_changed", "deal.won")
    assert moved.data["deal_id"].startswith("oppo_7H4")
    assert moved.data["from_stage_id"].startswith("stat_3FD9")
    assert won.time == datetime(2019, 1, 15, 12, 48, 23, 395_000, UTC)


def test_the_won_opportunity_of_close_came_from_elsewhere() -> None:
    """Our log has the deal from a creation in another stage than the one that Close claims."""
    won = json.loads(body("close/opportunity-won.json"))
    event = won["event"]
    record = event["data"] | {"status_id": "stat_other", "status_type": "active"}
    created = {
        "id": "ev_0",
        "action": "created",
        "date_created": "2019-01-15T12:41:24",
        "data": record,
    }
    told = [close.translate(delivery(one), HERE) for one in ({"event": event | created}, won)]
    (claimed,) = [
        one for moment in moments(told, event["object_id"], {}) for one in moment.old_values
    ]
    claims = event["previous_data"]["status_id"]
    assert claimed == OldValue("stage_id", claims, "stat_other", mismatch=True)


def test_the_changed_deal_of_pipedrive_had_no_address() -> None:
    changed = json.loads(body("pipedrive-v2/deal-change.json"))
    (key,) = changed["previous"]["custom_fields"]
    mapped = Connection("c", field_map={key: "attributes.address"})
    created = changed | {
        "previous": None,
        "meta": changed["meta"] | {"id": "m-0", "action": "create"},
    }
    created["meta"]["timestamp"] = "2022-11-24T15:00:00Z"
    for address, mismatch in ((None, False), ("Tartu, Estonia", True)):
        created["data"] = changed["data"] | {"custom_fields": {key: address}}
        told = [pipedrive.translate(delivery(one), mapped) for one in (created, changed)]
        (claimed,) = [one for moment in moments(told, "8", {}) for one in moment.old_values]
        assert claimed == OldValue("attributes.address", None, address, mismatch)
