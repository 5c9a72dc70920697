"""Zoho: a token in the body, ids with values only where they were asked for."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.crm.model import (
    Connection,
    Delivery,
    Refresh,
    Translation,
    Unreadable,
)
from services.ingest.domain.crm.zoho import CONNECTOR
from services.ingest.domain.decide import decide
from services.ingest.domain.examine import examine_incoming
from services.ingest.domain.model import Receipt
from tests.unit.ingest.crm import proofs
from tests.unit.ingest.crm.proofs import CONNECTION, NOW, refusal, translated

MS = int(NOW.timestamp() * 1000)
MAPPED = Connection(
    "c", id_prefix="z-", stage_map={"Proposal": "offer"}, field_map={"Seats": "attributes.seats"}
)
VALUES = {
    "Deal_Name": "Nine presses", "Stage": "Qualification", "Amount": 12000.5, "Seats": 3,
    "Closing_Date": "2026-06-30", "Owner": {"id": "u-1", "name": "x"}, "Account_Name": {"id": 9},
}  # fmt: skip


def body(operation: str, *ids: Any, at: Any = MS, **more: Any) -> dict[str, Any]:
    return {
        "server_time": at, "query_params": {"key": "hidden"}, "module": "Deals", "token": "s3cret",
        "resource_uri": "https://www.zohoapis.example/crm/v8/Deals", "ids": list(ids or ("7",)),
        "operation": operation, "channel_id": "1000000068001",
    } | more  # fmt: skip


def valued(operation: str, values: Any, at: Any = MS, **more: Any) -> dict[str, Any]:
    told = [{"record_id": "7", "values": values}]
    named = [{"7": list(values) if isinstance(values, dict) else values}]
    return body(operation, at=at, affected_values=told, **({"affected_fields": named} | more))


def sent(content: bytes) -> Delivery:
    return Delivery(content, {})


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(body("update")).encode(),
        b'{"token" :\n"s3cret"}',
        rb'{"x":"\"token\":\"no\"","token":"s3cr\u0065t"}',
        b'{"values":{"token":"of a field"},"token":"s3cret"}',
    ],
)
def test_the_token_proves_by_either_secret(content: bytes) -> None:
    assert CONNECTOR.verify(sent(content), Connection("c", ("s3cret", "old")), NOW) == 0
    assert CONNECTOR.verify(sent(content), Connection("c", ("new", "s3cret")), NOW) == 1


def test_a_body_is_no_list_of_guesses() -> None:
    guesses = json.dumps([{"token": f"{n:02}"} for n in range(64)]).encode()
    for secret in ("04", "05", "31", "63"):
        assert refusal(CONNECTOR, sent(guesses), Connection("c", (secret,))) == "signature_invalid"
    assert CONNECTOR.verify(sent(guesses), Connection("c", ("03",)), NOW) == 0


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "signature_missing"),
        (b"{}", "signature_missing"),
        (b'{"token":7}', "signature_missing"),
        (b'{"token":"s3cret', "signature_missing"),
        (rb'{"x":"\"token\":\"s3cret\""}', "signature_missing"),
        (rb'{"token":"\x"}', "signature_missing"),
        (b'{"token":"\xff"}', "signature_missing"),
        (b'{"token":""}', "signature_invalid"),
        (b'{"token":"S3cret"}', "signature_invalid"),
        (b'{"tokens":"s3cret","token":"s3cret "}', "signature_invalid"),
        (b'{"a":[' + b'{"token":"no"},' * 64 + b'{"token":"s3cret"}]}', "signature_invalid"),
    ],
)
def test_what_proves_nothing_is_refused(content: bytes, code: str) -> None:
    assert refusal(CONNECTOR, sent(content), CONNECTION) == code
    assert refusal(CONNECTOR, sent(content), Connection("c", ("", "")))


def test_no_mutant_of_the_token_is_proven() -> None:
    for mutant in proofs.mutants(Delivery(b"s3cret", {})):
        given = mutant.body.decode("latin-1")
        refusal(CONNECTOR, sent(json.dumps(body("update", token=given)).encode()), CONNECTION)


def test_a_new_deal() -> None:
    translation = translated(CONNECTOR, valued("insert", VALUES), MAPPED)
    (event,) = translation.events
    assert (event.type, event.time, translation.refreshes) == ("deal.created", NOW, [])
    assert event.data == {
        "deal_id": "z-7", "name": "Nine presses", "stage_id": "Qualification", "amount": "12000.5",
        "expected_close_date": "2026-06-30", "owner_id": "u-1", "account_id": "9",
        "attributes": {"seats": 3},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "events", "reason"),
    [
        (body("insert"), [("deal.created", {})], "no_values"),
        (body("update"), [], "no_values"),
        (body("update", affected_fields=[{"7": ["Stage"]}]), [], "no_values"),
        (body("delete"), [("deal.deleted", {})], None),
        (
            valued("update", {"Stage": "Proposal", "Amount": ""}),
            [
                ("deal.stage_changed", {"stage_id": "offer"}),
                ("deal.updated", {"changes": {"amount": None}}),
            ],
            None,
        ),
        (
            valued("update", {"Amount": "5"}, affected_fields=[{"7": ["Amount", "Stage"]}]),
            [("deal.updated", {"changes": {"amount": "5"}})],
            "partial",
        ),
        (
            valued("update", {"Amount": "5"}, affected_fields=[{"7": ["Amount", "Layout"]}]),
            [("deal.updated", {"changes": {"amount": "5"}})],
            None,
        ),
    ],
)
def test_what_is_not_carried_is_to_be_read(told: Any, events: Any, reason: str | None) -> None:
    translation = translated(CONNECTOR, told, MAPPED)
    given = [(one.type, one.data) for one in translation.events]
    assert given == [(kind, {"deal_id": "z-7"} | data) for kind, data in events]
    assert [one.reason for one in translation.refreshes] == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("told", "type_"),
    [
        (body("update", module="Contacts"), "zoho.Contacts.update"),
        (body("merge"), "zoho.Deals.merge"),
        (body("update", affected_fields=[{"7": ["Layout"]}]), "zoho.Deals.update"),
        (valued("insert", {"Account_Name": "Acme"}, module="Accounts"), "account.upserted"),
    ],
)
def test_what_else_is_told(told: Any, type_: str) -> None:
    assert [one.type for one in translated(CONNECTOR, told).events] == [type_]


@pytest.mark.parametrize("told", [body("merge"), body("update", True), body("update", ids=None)])
def test_the_token_goes_nowhere(told: Any) -> None:
    assert "s3cret" not in str(translated(CONNECTOR, told))
    assert "hidden" not in str(translated(CONNECTOR, told))


def test_an_account_without_values_is_to_be_read() -> None:
    translation = translated(CONNECTOR, body("update", module="Accounts"))
    assert translation.refreshes == [Refresh("Accounts", "7", "no_values")]


def test_a_rotten_record_spoils_no_other() -> None:
    values = [
        {"record_id": "8", "values": {"Amount": []}},
        {"record_id": 9, "values": {"Stage": 1}},
    ]
    told = body("update", 7, "8", None, [], "9", affected_values=[None, *values])
    translation = translated(CONNECTOR, told)
    assert [one.data for one in translation.events] == [{"deal_id": "9", "stage_id": "1"}]
    assert [one.record_id for one in translation.refreshes] == ["7"]
    assert [one.code for one in translation.puzzles] == ["invalid_field", *["missing_id"] * 2]


def test_ids_name_the_occurrence() -> None:
    def id_of(told: Any) -> str | None:
        return translated(CONNECTOR, told).events[0].id

    first = body("delete")
    same = [first | {"attempt": 2}, first | {"ids": [7]}, first | {"server_time": str(MS)}]
    assert {id_of(one) for one in [first, *same]} == {id_of(first)}
    others = [first | {"channel_id": "2"}, first | {"server_time": MS + 1}, first | {"ids": [8]}]
    assert len({id_of(one) for one in [first, *others]}) == 4
    assert id_of(first | {"server_time": None}) is None


def entered(*told: Any) -> list[tuple[str, str | None]]:
    """What becomes of these notifications, one after the other."""
    events = [event for one in told for event in translated(CONNECTOR, one, MAPPED).events]
    verdicts = decide([examine_incoming(one, Receipt("t", NOW)) for one in events], {}).verdicts
    return [(one.status, one.code) for one in verdicts]


@pytest.mark.parametrize(
    "others",
    [
        [valued("update", {"Amount": "5"}), valued("update", {"Stage": "Proposal"})],
        [valued("update", {"Amount": "5"}), valued("update", {"Amount": "6"})],
        [valued("update", {"Amount": "5"}, ids=["7", "8"]), valued("update", {"Amount": "6"})],
        [
            valued("insert", {"Account_Name": "Acme"}, module="Accounts"),
            valued("insert", {"Account_Name": "Acme", "Industry": "x"}, module="Accounts"),
        ],
    ],
)
def test_two_edits_of_one_server_time_both_enter(others: list[Any]) -> None:
    assert entered(*others) == [("accepted", None)] * 2
    assert entered(*others, *others[::-1])[2:] == [("duplicate", None)] * 2


TWICE = [
    ({"Amount": "5"}, {"Amount": "6"}),
    ({"Stage": "Proposal"}, {"Stage": "new"}),
    ({"Stage": "new", "Amount": "7"}, {"Stage": "Proposal", "Amount": "5"}),
]


@pytest.mark.parametrize("edits", TWICE)
def test_of_two_edits_of_one_field_and_server_time_one_stands_for_good(edits: Any) -> None:
    """Zoho tells no order of them: ids decide, so arrival and repetition do not."""
    told = [translated(CONNECTOR, valued("update", one), MAPPED) for one in edits]
    at = [NOW + timedelta(seconds=number) for number in range(6)]
    ways = [
        told,
        told[::-1],
        [*told, *told],
        [*told, told[0]],
        [told[1], *told],
        [told[1]] * 2 + told,
    ]
    deals = [proofs.arrived(list(zip(at, way, strict=False)))[1] for way in ways]
    stand = {(deal.state.facts.stage_id, deal.state.facts.amount) for deal in deals if deal.state}
    last = [max(events, key=lambda one: one.id or "") for events in _by_type(told)]
    assert len(stand) == 1
    assert [len(deal.visits) for deal in deals] == [len(deals[0].visits)] * len(ways)
    assert _said(last) == stand.pop()


def _by_type(told: list[Translation]) -> list[list[IncomingEvent]]:
    events = [event for one in told for event in one.events]
    return [[one for one in events if one.type == kind] for kind in {one.type for one in events}]


def _said(events: list[IncomingEvent]) -> tuple[str | None, Decimal | None]:
    """The stage and the amount that these events say."""
    stage, amount = None, None
    for event in events:
        stage = event.data.get("stage_id", stage)
        amount = event.data.get("changes", {}).get("amount", amount)
    return stage, None if amount is None else Decimal(amount)


def test_names_of_what_changed_tell_skipped_edits_apart() -> None:
    first = body("update", affected_fields=[{"7": ["Layout", "Tag"]}])
    other = body("update", affected_fields=[{"7": ["Layout"]}])
    assert entered(first, other, first) == [("accepted", "unknown_type")] * 2 + [
        ("duplicate", None)
    ]


@pytest.mark.parametrize(
    "told",
    [
        body("delete"), body("insert"), body("merge"), body("update", module="Contacts"),
        valued("update", {"Amount": "5"}), valued("update", {"Layout": {"id": 5}}),
    ],
)  # fmt: skip
def test_a_repeated_notification_is_a_duplicate_in_id_and_body(told: Any) -> None:
    assert entered(told, told)[1:] == [("duplicate", None)]


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({}, "invalid_event"),
        (body("update", ids=[]), "missing_id"),
        (body("update", ids="7"), "missing_id"),
        (body("delete", at="soon"), "invalid_time"),
        (body("delete", module=7), "invalid_event"),
    ],
)
def test_what_makes_no_event_is_a_puzzle(told: Any, code: str) -> None:
    translation = translated(CONNECTOR, told)
    assert (translation.events, [one.code for one in translation.puzzles]) == ([], [code])


def test_what_is_no_object_is_unreadable() -> None:
    for content in (b"", b"[]", b"\xff"):
        with pytest.raises(Unreadable):
            translated(CONNECTOR, content)


def test_a_life_in_any_order() -> None:
    told = [
        valued("insert", VALUES | {"Stage": "new"}),
        valued("update", {"Amount": 5}, MS + 1),
        valued("update", {"Stage": "Proposal"}, MS + 2),
        body("delete", at=MS + 3),
    ]
    deal = proofs.same_in_any_order([translated(CONNECTOR, one, MAPPED) for one in told])
    assert deal.state is not None
    facts = deal.state.facts
    assert (facts.status, facts.stage_id, str(facts.amount)) == ("deleted", "offer", "5")


def test_a_prefix_keeps_two_accounts_apart() -> None:
    other = replace(MAPPED, id_prefix="y-")
    (event,) = translated(CONNECTOR, body("delete"), other).events
    assert event.data == {"deal_id": "y-7"}


@proofs.RUBBISH
@given(proofs.spoiled(valued("update", VALUES)) | proofs.spoiled(body("insert", 1)) | proofs.JSON)
def test_rubbish_never_raises(rubbish: Any) -> None:
    proofs.sound(CONNECTOR, rubbish, MAPPED)
