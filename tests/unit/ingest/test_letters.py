"""Dead letters of deliveries: what names them, of which deal they are, what they keep."""

import json
from typing import Any

import pytest

from services.ingest.adapters.keeping import letter_id
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.model import Connection, Delivery, Kind
from services.ingest.domain.crm.registry import CONNECTORS
from services.ingest.domain.letters import Letter, of_puzzles
from tests.unit.ingest.crm.proofs import NOW

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
