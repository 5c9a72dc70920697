"""Twenty: signed texts with their time, whole records with names of what changed."""

import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from services.ingest.domain.crm.model import Connection, Delivery, Unreadable
from services.ingest.domain.crm.twenty import CONNECTOR
from tests.real import data
from tests.unit.ingest.crm import proofs
from tests.unit.ingest.crm.proofs import CONNECTION, NOW, refusal, translated

SIGNED_AT = datetime.fromtimestamp(1764000000, UTC)
VECTOR = Delivery(
    b'{"a":1}',
    {
        "x-twenty-webhook-timestamp": "1764000000000",
        "x-twenty-webhook-signature": (
            "cdb537240eda621f5b149d21c6641689fd501c8b3142af42c754bed475681824"
        ),
        "x-twenty-webhook-nonce": "00112233445566778899aabbccddeeff",
    },
)
MAPPED = Connection(
    "c", id_prefix="t-", stage_map={"PROPOSAL": "offer"}, field_map={"seats": "attributes.seats"}
)
RECORD = {
    "id": "op-1", "name": "Nine presses", "stage": "NEW", "closeDate": "2026-06-30T00:00:00.000Z",
    "amount": {"amountMicros": 12_000_500_000, "currencyCode": "EUR"}, "companyId": "co-1",
    "ownerId": "u-1", "pointOfContactId": "p-1", "seats": 3,
    "createdAt": "2026-03-02T09:00:00.000Z",
}  # fmt: skip


def body(event: str, record: Any = None, at: Any = "2026-03-02T09:00:00.000Z", **more: Any) -> Any:
    return {
        "targetUrl": "https://example.org/hook", "eventName": event, "webhookId": "w-1",
        "objectMetadata": {"id": "m-1", "nameSingular": event.partition(".")[0]},
        "workspaceId": "ws", "eventDate": at, "record": RECORD if record is None else record,
    } | more  # fmt: skip


def updated(record: Any, *names: str, at: str = "2026-03-03T09:00:00.000Z") -> Any:
    return body("opportunity.updated", RECORD | record, at, updatedFields=list(names))


def test_the_published_rule_is_proven_by_either_secret() -> None:
    assert CONNECTOR.verify(VECTOR, Connection("c", ("s3cret", "old")), SIGNED_AT) == 0
    assert CONNECTOR.verify(VECTOR, Connection("c", ("new", "s3cret")), SIGNED_AT) == 1


@pytest.mark.parametrize("name", ["x-twenty-webhook-timestamp", "x-twenty-webhook-signature"])
def test_a_missing_header_is_refused(name: str) -> None:
    headers = {k: v for k, v in VECTOR.headers.items() if k != name}
    given = replace(VECTOR, headers=headers)
    assert refusal(CONNECTOR, given, CONNECTION, SIGNED_AT) == "signature_missing"


@pytest.mark.parametrize("away", [-301, -300, -299, 299, 300, 301])
def test_a_replay_is_stale(away: int) -> None:
    now = SIGNED_AT + timedelta(seconds=away)
    if abs(away) > 300:
        assert refusal(CONNECTOR, VECTOR, CONNECTION, now) == "stale"
    else:
        assert CONNECTOR.verify(VECTOR, CONNECTION, now) == 0


def test_milliseconds_count_at_the_edge() -> None:
    late = SIGNED_AT + timedelta(seconds=300, milliseconds=1)
    assert refusal(CONNECTOR, VECTOR, CONNECTION, late) == "stale"


def test_no_mutant_is_proven() -> None:
    signed = ("x-twenty-webhook-timestamp", "x-twenty-webhook-signature")
    for mutant in proofs.mutants(VECTOR, *signed):
        refusal(CONNECTOR, mutant, CONNECTION, SIGNED_AT)


def test_a_body_spelled_anew_is_refused() -> None:
    spelled = replace(VECTOR, body=json.dumps(json.loads(VECTOR.body)).encode())
    assert refusal(CONNECTOR, spelled, CONNECTION, SIGNED_AT) == "signature_invalid"
    empty = Connection("c", ("",))
    forged = hmac.digest(b"", b"1764000000000:" + VECTOR.body, "sha256").hex()
    headers = {**VECTOR.headers, "x-twenty-webhook-signature": forged}
    assert refusal(CONNECTOR, replace(VECTOR, headers=headers), empty, SIGNED_AT)


def test_a_created_opportunity() -> None:
    (event,) = translated(CONNECTOR, body("opportunity.created"), MAPPED).events
    assert (event.type, event.time) == ("deal.created", NOW)
    assert event.data == {
        "deal_id": "t-op-1", "name": "Nine presses", "stage_id": "NEW", "amount": "12000.5",
        "currency": "EUR", "expected_close_date": "2026-06-30", "account_id": "co-1",
        "owner_id": "u-1", "attributes": {"seats": 3},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (updated({"stage": "PROPOSAL"}, "stage"), [{"stage_id": "offer"}]),
        (updated({"name": ""}, "name", "updatedAt"), [{"changes": {"name": None}}]),
        (
            updated({"amount": {"amountMicros": "1", "currencyCode": "USD"}}, "amount"),
            [{"changes": {"amount": "0.000001", "currency": "USD"}}],
        ),
        (
            updated({"amount": {"amountMicros": 3e6, "currencyCode": ""}}, "amount"),
            [{"changes": {"amount": "3", "currency": None}}],
        ),
        (
            updated({"amount": {"amountMicros": None, "currencyCode": "EUR"}}, "amount"),
            [{"changes": {"amount": None, "currency": "EUR"}}],
        ),
        (updated({"amount": None}, "amount"), [{"changes": {"amount": None}}]),
        (updated({"companyId": None}, "company"), [{"changes": {"account_id": None}}]),
        (
            updated({"stage": "WON", "ownerId": 7}, "stage", "ownerId"),
            [{"stage_id": "WON"}, {"changes": {"owner_id": "7"}}],
        ),
    ],
)
def test_only_what_changed_is_told(told: Any, expected: list[Any]) -> None:
    events = translated(CONNECTOR, told, MAPPED).events
    assert [event.data for event in events] == [{"deal_id": "t-op-1"} | one for one in expected]


@pytest.mark.parametrize("amount", [{"amountMicros": 1.5}, {"amountMicros": "-1"}, "9", [1]])
def test_an_amount_that_is_none_is_a_puzzle(amount: Any) -> None:
    told = translated(CONNECTOR, updated({"amount": amount}, "amount"))
    if amount == "9":
        assert told.events[0].data["changes"] == {"amount": "9"}
    else:
        assert (told.events, told.puzzles[0].code) == ([], "invalid_field")


@pytest.mark.parametrize(
    ("told", "type_"),
    [
        (body("opportunity.deleted"), "deal.deleted"),
        (body("opportunity.destroyed"), "deal.deleted"),
        (body("opportunity.restored"), "deal.restored"),
        (body("opportunity.merged"), "twenty.opportunity.merged"),
        (updated({}, "position"), "twenty.opportunity.updated"),
        (body("person.created"), "twenty.person.created"),
        (body("company.deleted"), "twenty.company.deleted"),
        (body("company.updated", {"id": "co", "name": "Acme"}), "account.upserted"),
    ],
)
def test_what_else_is_told(told: Any, type_: str) -> None:
    (event,) = translated(CONNECTOR, told, MAPPED).events
    assert event.type == type_


def test_a_company() -> None:
    told = body("company.created", {"id": "co", "name": "Acme", "accountOwnerId": "u", "arr": 1})
    (event,) = translated(CONNECTOR, told, MAPPED).events
    assert event.data == {"account_id": "co", "name": "Acme", "owner_id": "u"}


def test_the_form_of_its_guide() -> None:
    told = {
        "event": "opportunity.deleted",
        "data": {"id": "op-1"},
        "timestamp": "2026-03-02T09:00:00Z",
    }
    (event,) = translated(CONNECTOR, told).events
    assert (event.type, event.data, event.time) == ("deal.deleted", {"deal_id": "op-1"}, NOW)


def test_a_sample_of_its_guide() -> None:
    sample = data.file("webhooks/twenty/person-created.json").read_bytes()
    (event,) = translated(CONNECTOR, sample).events
    assert (event.type, event.data["data"]["id"]) == ("twenty.person.created", "abc12345")


def test_ids_name_the_occurrence() -> None:
    def id_of(told: Any) -> str | None:
        return translated(CONNECTOR, told).events[0].id

    first = body("opportunity.created")
    assert id_of(first) == id_of(first | {"targetUrl": "https://example.org/other"})
    assert id_of(first) == id_of(first | {"record": RECORD | {"name": "x"}})
    others = [
        first | {"eventDate": "2026-03-02T09:00:00.001Z"},
        first | {"webhookId": "w-2"},
        first | {"record": RECORD | {"id": "op-2"}},
    ]
    assert len({id_of(one) for one in [first, *others]}) == 4
    assert id_of(first | {"eventDate": None}) is None


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({}, "invalid_event"),
        (body("opportunity.created", []), "invalid_event"),
        (body("opportunity.created", {}), "missing_id"),
        (body("opportunity.deleted", {"id": True}), "missing_id"),
        (body("opportunity.deleted", at="soon"), "invalid_time"),
        (body("x" * 300), "invalid_field"),
    ],
)
def test_what_makes_no_event_is_a_puzzle(told: Any, code: str) -> None:
    translation = translated(CONNECTOR, told)
    assert (translation.events, [one.code for one in translation.puzzles]) == ([], [code])
    assert translation.puzzles[0].raw == told


def test_what_is_no_object_is_unreadable() -> None:
    for content in (b"", b"[]", b"nul"):
        with pytest.raises(Unreadable):
            translated(CONNECTOR, content)


def test_a_life_in_any_order() -> None:
    told = [
        body("opportunity.created", RECORD | {"stage": "new"}),
        updated({"amount": {"amountMicros": 5_000_000, "currencyCode": "EUR"}}, "amount"),
        updated({"stage": "PROPOSAL"}, "stage", at="2026-03-04T09:00:00Z"),
        body("opportunity.deleted", at="2026-03-05T09:00:00Z"),
    ]
    deal = proofs.same_in_any_order([translated(CONNECTOR, one, MAPPED) for one in told])
    assert deal.state is not None
    assert (deal.state.facts.status, deal.state.facts.stage_id) == ("deleted", "offer")
    assert str(deal.state.facts.amount) == "5"


@proofs.RUBBISH
@given(proofs.spoiled(updated({"stage": "PROPOSAL"}, "stage", "amount")) | proofs.JSON)
def test_rubbish_never_raises(told: Any) -> None:
    proofs.sound(CONNECTOR, told, MAPPED)


@proofs.RUBBISH
@given(proofs.spoiled(body("opportunity.created")))
def test_rubbish_in_a_creation_never_raises(told: Any) -> None:
    proofs.sound(CONNECTOR, told, MAPPED)
