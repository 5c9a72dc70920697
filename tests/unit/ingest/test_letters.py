"""Dead letters of deliveries: what names them, of which deal they are, what they keep."""

import json
from typing import Any

import pytest

from services.ingest.adapters.keeping import letter_id
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.model import Connection, Delivery, Kind
from services.ingest.domain.crm.registry import CONNECTORS
from services.ingest.domain.letters import Letter, of_puzzles
from tests.unit.ingest.crm import test_salesforce_outbound
from tests.unit.ingest.crm.proofs import NOW
from tests.unit.ingest.mapping.made import mapping

AMOUNT = {
    "eventId": 1, "attemptNumber": 0, "subscriptionType": "deal.propertyChange", "objectId": 12,
    "propertyName": "amount", "propertyValue": "-50", "occurredAt": 1772355600000,
}  # fmt: skip
SECOND = {
    "meta": {"entity": "deal", "entity_id": 8, "action": "change", "attempt": 1,
        "id": "df47d877-b58c-4886-91cd-1aa83e1d7301", "timestamp": "2026-03-02T08:59:00Z"},
    "data": {"id": 8, "value": -5, "status": "open"}, "previous": {},
}  # fmt: skip
FIRST = {
    "meta": {"object": "deal", "id": 8, "action": "updated", "timestamp": 1772355600},
    "current": {"id": 8, "value": -5, "status": "open"}, "previous": {}, "retry": 0,
}  # fmt: skip


def live(kind: Kind, **settings: Any) -> Live:
    return Live("t", "c", kind, Connection("c", **({"secrets": ("s3cret",)} | settings)))


def letters(of: Live, body: Any, **more: Any) -> list[Letter]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    came = Delivery(content, {}, **({"received_at": NOW} | more))
    told = CONNECTORS[of.kind].translate(came, of.connection)
    return of_puzzles(of, came, told.puzzles)


def only(of: Live, body: Any, **more: Any) -> Letter:
    (letter,) = letters(of, body, **more)
    return letter


@pytest.mark.parametrize(
    ("kind", "body", "again"),
    [
        ("hubspot", [AMOUNT], [AMOUNT | {"attemptNumber": 3}]),
        ("hubspot", [AMOUNT], [AMOUNT | {"attemptNumber": 1, "eventId": 7}]),
        ("hubspot", [AMOUNT] * 1_001, [AMOUNT | {"attemptNumber": 3}] * 1_001),
        ("pipedrive", SECOND, SECOND | {"meta": SECOND["meta"] | {"attempt": 2}}),
        ("pipedrive", FIRST, FIRST | {"retry": 2}),
    ],
)
def test_a_retry_meets_its_letter(kind: Kind, body: Any, again: Any) -> None:
    assert letter_id(only(live(kind), body)) == letter_id(only(live(kind), again))


@pytest.mark.parametrize(
    ("kind", "body", "other"),
    [
        ("hubspot", [AMOUNT], [AMOUNT | {"occurredAt": 1772355600001}]),
        ("pipedrive", SECOND, SECOND | {"data": {"id": 8, "value": -6}}),
        ("pipedrive", SECOND, SECOND | {"meta": SECOND["meta"] | {"entity_id": 9}}),
        ("close", {"event": None, "retry": 0}, {"event": None, "retry": 1}),
    ],
)
def test_another_part_has_another_letter(kind: Kind, body: Any, other: Any) -> None:
    assert letter_id(only(live(kind), body)) != letter_id(only(live(kind), other))


BAD = "no time at all"
OPPORTUNITY = {"entityName": "Opportunity", "changeType": "UPDATE", "recordIds": ["006A"]}
SOAP = test_salesforce_outbound.message(
    test_salesforce_outbound.note("04l", Id="006A", LastModifiedDate=BAD)
)
CLOSE = {"event": {"object_type": "opportunity", "action": "updated", "object_id": "oppo_1",
    "date_created": BAD}}  # fmt: skip
OF_A_DEAL: list[tuple[Kind, Any, str]] = [
    ("hubspot", [AMOUNT], "x-12"),
    ("hubspot", [AMOUNT | {"occurredAt": BAD}], "x-12"),
    ("hubspot", AMOUNT | {"subscriptionType": "object.deletion", "objectTypeId": "0-3",
        "occurredAt": BAD}, "x-12"),
    ("hubspot", [AMOUNT | {"subscriptionType": "deal.merge", "objectId": None, "occurredAt": BAD,
        "primaryObjectId": 3}], "x-3"),
    ("pipedrive", SECOND, "x-8"),
    ("pipedrive", SECOND | {"data": None, "previous": None}, "x-8"),
    ("pipedrive", FIRST, "x-8"),
    ("pipedrive", FIRST | {"current": None, "previous": None}, "x-8"),
    ("close", CLOSE, "x-oppo_1"),
    ("zoho", {"module": "Deals", "operation": "update", "ids": ["77"], "server_time": BAD}, "x-77"),
    ("salesforce_cdc", {"ChangeEventHeader": OPPORTUNITY | {"commitTimestamp": BAD}}, "x-006A"),
    ("salesforce_outbound", SOAP, "x-006A"),
    ("twenty", {"eventName": "opportunity.updated", "record": {"id": "o1"}, "eventDate": BAD},
        "x-o1"),
    ("espocrm", [{"id": "e1", "modifiedAt": BAD}], "x-e1"),
    ("standard_webhooks", {"type": "deal.won", "timestamp": BAD, "data": {"deal_id": 5}}, "x-5"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "deal_id"), OF_A_DEAL)
def test_it_is_of_the_deal_that_its_record_is(kind: Kind, body: Any, deal_id: str) -> None:
    assert only(live(kind, id_prefix="x-"), body).deal_id == deal_id


OF_NONE: list[tuple[Kind, Any]] = [
    ("hubspot", [AMOUNT] * 1_001),
    ("hubspot", [AMOUNT | {"objectId": "\x00"}]),
    ("hubspot", [AMOUNT | {"objectId": "9" * 201}]),
    ("hubspot", [AMOUNT | {"subscriptionType": "company.creation", "occurredAt": BAD}]),
    ("hubspot", ["x"]),
    ("pipedrive", SECOND | {"meta": {"entity": "person", "action": "change", "entity_id": 8,
        "timestamp": BAD}}),
    ("pipedrive", SECOND | {"meta": None}),
    ("close", {"event": {"object_type": "lead", "action": "created", "object_id": "lead_1",
        "date_created": BAD}}),
    ("zoho", {"module": "Deals", "operation": "update", "ids": ["x"] * 1_001}),
    ("salesforce_cdc", {"ChangeEventHeader": OPPORTUNITY | {"recordIds": ["006*"],
        "entityName": "Order", "commitTimestamp": BAD}}),
    ("twenty", {"eventName": "company.updated", "record": {"id": "o1"}, "eventDate": BAD}),
    ("standard_webhooks", {"type": "account.upserted", "timestamp": BAD, "data": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body"), OF_NONE)
def test_it_is_of_no_deal_where_nobody_can_tell(kind: Kind, body: Any) -> None:
    assert only(live(kind), body).deal_id is None


def test_the_url_says_that_it_is_no_deal() -> None:
    told = only(live("espocrm"), [{"id": "e1", "modifiedAt": BAD}], query={"event": "Task.update"})
    assert told.deal_id is None


def test_a_row_of_a_mapping_is_of_the_deal_that_it_names() -> None:
    made = {"type": "deal.created", "data": {"deal_id": "row.key", "amount": "row.amount"}}
    of = live("generic", mapping=mapping(made, kind="json"), id_prefix="x-")
    good, bad = {"key": "D1", "amount": "5"}, {"key": "D2", "amount": "-5"}
    assert only(of, [good, bad]).deal_id == "x-D2"


def test_no_secret_is_kept_as_the_id_of_a_deal() -> None:
    assert only(live("hubspot"), [AMOUNT | {"objectId": "s3cret"}]).deal_id is None
