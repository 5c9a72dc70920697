"""Deliveries as they were published, where the data folder has them: none of them is ours."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.ingest.domain.crm import close, hubspot, hubspot_signatures, pipedrive
from services.ingest.domain.crm.model import Connection, Delivery
from tests.real.data import file
from tests.unit.ingest.crm.checks import NOW

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
        delivery = Delivery(vector["body"].encode(), headers, method=vector.get("method", "POST"))
        connection = Connection(
            "c",
            secrets=(given["client_secret"],),
            public_url=vector.get("url"),
            weakest_signature="v1",
        )
        assert hubspot_signatures.verify(delivery, connection, NOW) == 0


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
