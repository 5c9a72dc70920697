"""Salesforce CDC as JSON: where the header may stand, what each kind of change means."""

import base64
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from services.ingest.domain.crm.model import Connection, Delivery, Refresh, Unreadable
from services.ingest.domain.crm.salesforce_cdc import CONNECTOR
from tests.real import data
from tests.unit.ingest.crm import proofs
from tests.unit.ingest.crm.proofs import NOW, refusal, translated

KEY = bytes(range(24))
MAPPED = Connection(
    "c", secrets=("whsec_" + base64.b64encode(KEY).decode(),), id_prefix="s-",
    stage_map={"Proposal/Price Quote": "offer"}, field_map={"Seats__c": "attributes.seats"},
)  # fmt: skip
ID = "006am000006pSAYAA2"
COMMIT = 1736877279422521345
KEY_OF = "00001b0b-bd8a-108c-cdeb-2b85f1c4b7e3"


def header(kind: str = "UPDATE", **more: Any) -> dict[str, Any]:
    return {
        "changeOrigin": "com/salesforce/api/rest/63.0;client=x", "changeType": kind,
        "commitNumber": COMMIT, "commitTimestamp": int(NOW.timestamp() * 1000),
        "commitUser": "005am", "entityName": "Opportunity", "recordIds": [ID],
        "sequenceNumber": 1, "transactionKey": KEY_OF,
    } | more  # fmt: skip


def change(fields: Any = None, **more: Any) -> dict[str, Any]:
    payload = {"ChangeEventHeader": header(**more), **(fields or {})}
    return {"data": {"schema": "x", "payload": payload, "event": {"replayId": 42}}, "channel": "/d"}


def told(*args: Any, **more: Any) -> Any:
    return translated(CONNECTOR, change(*args, **more), MAPPED)


def datas(translation: Any) -> list[Any]:
    return [(one.type, one.data) for one in translation.events]


BY = {"deal_id": f"s-{ID}", "actor_id": "005am"}
WHOLE = {
    "Name": "Nine presses", "StageName": "Prospecting", "Amount": 12000.5, "OwnerId": "005x",
    "CloseDate": "2026-06-30", "AccountId": "001x", "IsClosed": False, "IsWon": False,
    "Seats__c": 3, "Probability": 10, "RecordTypeId": "012x", "LeadSource": None,
}  # fmt: skip


def signed(now: Any = NOW) -> Delivery:
    body, sent = json.dumps(change(WHOLE)).encode(), str(int(now.timestamp()))
    proof = hmac.digest(KEY, f"evt.{sent}.".encode() + body, "sha256")
    return Delivery(
        body,
        {
            "webhook-id": "evt",
            "webhook-timestamp": sent,
            "webhook-signature": "v1," + base64.b64encode(proof).decode(),
        },
    )


def test_the_relay_signs() -> None:
    assert CONNECTOR.verify(signed(), MAPPED, NOW) == 0
    late = signed(NOW - timedelta(seconds=301))
    assert refusal(CONNECTOR, late, MAPPED) == "stale"
    assert refusal(CONNECTOR, replace(signed(), body=b"{}"), MAPPED) == "signature_invalid"


@pytest.mark.parametrize(
    "place", [lambda p: {"data": {"payload": p}}, lambda p: {"data": p}, lambda p: {"payload": p},
              lambda p: p, lambda p: [p]],
)  # fmt: skip
def test_the_header_stands_where_relays_put_it(place: Any) -> None:
    payload = {"ChangeEventHeader": header("DELETE")}
    (event,) = translated(CONNECTOR, place(payload), MAPPED).events
    assert (event.type, event.data, event.time) == ("deal.deleted", BY, NOW)
    assert (event.sequence, event.id) == (COMMIT, f"{KEY_OF}/000001/{ID}")


def test_a_created_opportunity() -> None:
    (event,) = told(WHOLE, kind="CREATE").events
    assert (event.type, event.sequence) == ("deal.created", COMMIT)
    assert event.data == {
        "deal_id": f"s-{ID}", "name": "Nine presses", "stage_id": "Prospecting",
        "pipeline_id": "012x", "amount": "12000.5", "owner_id": "005x", "account_id": "001x",
        "expected_close_date": "2026-06-30", "attributes": {"seats": 3},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "more", "expected"),
    [
        (
            {"StageName": "Proposal/Price Quote"},
            {"changedFields": ["StageName", "LastModifiedDate"]},
            [("deal.stage_changed", {"stage_id": "offer"})],
        ),
        (
            {"Amount": None, "Name": None},
            {"changedFields": ["Amount"], "nulledFields": ["Amount"]},
            [("deal.updated", {"changes": {"amount": None}})],
        ),
        ({}, {"nulledFields": ["Amount"]}, [("deal.updated", {"changes": {"amount": None}})]),
        ({"Amount": None}, {}, [("deal.updated", {"changes": {"amount": None}})]),
        (
            {"Amount": 5, "LastModifiedDate": "2026-03-02T09:00:00.000Z"},
            {"changedFields": ["0x01000080", "4-0x02"]},
            [("deal.updated", {"changes": {"amount": "5"}})],
        ),
        (
            {"StageName": "Closed Won", "IsWon": True, "IsClosed": True},
            {},
            [("deal.stage_changed", {"stage_id": "Closed Won"}), ("deal.won", {})],
        ),
        (
            {"StageName": "Closed Lost", "IsClosed": True},
            {},
            [("deal.stage_changed", {"stage_id": "Closed Lost"}), ("deal.lost", {})],
        ),
        ({"StageName": "x", "IsClosed": False}, {}, [("deal.stage_changed", {"stage_id": "x"})]),
        (
            {"IsWon": False, "StageName": "y"},
            {},
            [("deal.stage_changed", {"stage_id": "y"}), ("deal.lost", {})],
        ),
        (
            {"IsWon": False, "IsClosed": None, "StageName": "y"},
            {"changedFields": ["StageName", "IsWon"]},
            [("deal.stage_changed", {"stage_id": "y"}), ("deal.lost", {})],
        ),
        (
            {"IsWon": False, "IsClosed": False, "StageName": "y"},
            {},
            [("deal.stage_changed", {"stage_id": "y"})],
        ),
        (
            {"IsWon": False, "StageName": "y"},
            {"changedFields": ["StageName"]},
            [("deal.stage_changed", {"stage_id": "y"})],
        ),
        ({"IsWon": False, "Amount": 5}, {}, [("deal.updated", {"changes": {"amount": "5"}})]),
        (
            {"CloseDate": 1_782_777_600_000},
            {},
            [("deal.updated", {"changes": {"expected_close_date": "2026-06-30"}})],
        ),
    ],
)
def test_an_update_tells_what_changed(fields: Any, more: Any, expected: Any) -> None:
    translation = told(fields, **more)
    assert datas(translation) == [(kind, BY | given) for kind, given in expected]
    assert (translation.refreshes, translation.puzzles) == ([], [])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"IsClosed": True, "StageName": "y"}, ["IsClosed", "IsWon", "StageName"]),
        ({"IsWon": False, "StageName": "y"}, ["IsWon", "IsClosed", "StageName"]),
    ],
)
def test_an_end_that_is_half_told_is_read_and_not_guessed(fields: Any, named: list[str]) -> None:
    translation = told(fields, changedFields=named)
    assert datas(translation) == [("deal.stage_changed", BY | {"stage_id": "y"})]
    assert translation.refreshes == [Refresh("Opportunity", ID, "partial")]


def test_a_deal_that_comes_back() -> None:
    restored, moved, *_ = told(WHOLE, kind="UNDELETE").events
    assert (restored.type, moved.type) == ("deal.restored", "deal.stage_changed")


def test_a_snapshot_creates_nothing() -> None:
    assert {one.type for one in told(WHOLE, kind="SNAPSHOT").events} == {
        "deal.stage_changed",
        "deal.updated",
    }


@pytest.mark.parametrize(
    ("fields", "more", "reason"),
    [
        ({}, {"changedFields": ["0x01000080"]}, "no_values"),
        ({}, {}, "no_values"),
        ({}, {"changedFields": ["Amount"]}, "no_values"),
        ({"Name": "x"}, {"changedFields": ["Name", "Amount"]}, "partial"),
        ({"Name": "x"}, {"nulledFields": ["0x40"]}, "partial"),
        ({"Name": "x", "Seats__c": "@@"}, {"diffFields": ["Seats__c"]}, "partial"),
        ({}, {"kind": "CREATE"}, "no_values"),
        *(
            ({}, {"kind": f"GAP_{kind}"}, "gap")
            for kind in ("CREATE", "UPDATE", "DELETE", "UNDELETE")
        ),
    ],
)
def test_what_is_not_carried_is_to_be_read(fields: Any, more: Any, reason: str) -> None:
    assert told(fields, **more).refreshes == [Refresh("Opportunity", ID, reason)]  # type: ignore[arg-type]


def test_a_change_of_no_use_needs_no_reading() -> None:
    for translation in (told({}, changedFields=["Description"]), told({"Description": "x"})):
        assert [one.type for one in translation.events] == ["salesforce_cdc.Opportunity.UPDATE"]
        assert translation.refreshes == []


def test_wildcards_and_overflow() -> None:
    many = told({}, kind="UPDATE", recordIds=["006*", "006*"])
    assert (many.events, many.refreshes) == ([], [Refresh("Opportunity", "006*", "gap")])
    lost = told({}, kind="GAP_OVERFLOW", recordIds=["000000000000000AAA"])
    assert lost.refreshes == [Refresh("Opportunity", "*", "overflow")]


def test_one_change_of_several_records() -> None:
    events = told({"Amount": 5}, recordIds=["006a", "006b", None, "006c"])
    assert [one.data["deal_id"] for one in events.events] == ["s-006a", "s-006b", "s-006c"]
    assert len({one.id for one in events.events}) == 3
    assert [one.code for one in events.puzzles] == ["missing_id"]


def test_ids_and_numbers() -> None:
    def first(**more: Any) -> Any:
        return told({"Amount": 5}, **more).events[0]

    assert first(commitNumber=str(COMMIT)).sequence == COMMIT
    assert first(commitNumber="x").sequence is None
    assert first(sequenceNumber=9).id < first(sequenceNumber=10).id
    assert first(transactionKey=None).id == f"replay-42/{ID}"
    bare = {"ChangeEventHeader": header(transactionKey=None), "Amount": 5}
    (hashed,) = translated(CONNECTOR, bare, MAPPED).events
    assert hashed.id is not None
    assert len(hashed.id) == 64
    bare = {"ChangeEventHeader": header(transactionKey=None, commitTimestamp=None), "Amount": 5}
    (weak,) = translated(CONNECTOR, bare, MAPPED).events
    assert (weak.id, weak.time) == (None, None)


def test_who_made_a_change_with_what_is_kept_out() -> None:
    for translation in (told(WHOLE), told({}, entityName="Contact"), told({}, recordIds=[[]])):
        assert "client=x" not in str(translation)


@pytest.mark.parametrize(
    ("fields", "more", "type_"),
    [
        ({"Name": "Acme"}, {"entityName": "Account", "recordIds": ["001x"]}, "account.upserted"),
        ({}, {"entityName": "Account", "kind": "DELETE"}, "salesforce_cdc.Account.DELETE"),
        ({"Name": "x"}, {"entityName": "Contact"}, "salesforce_cdc.Contact.UPDATE"),
        ({}, {"entityName": "Contact", "kind": "GAP_UPDATE"}, "salesforce_cdc.Contact.GAP_UPDATE"),
        ({}, {"kind": "MELT"}, "salesforce_cdc.Opportunity.MELT"),
        ({"Status": "x"}, {"entityName": "Task", "kind": "CREATE"}, "salesforce_cdc.Task.CREATE"),
        ({}, {"entityName": "Task", "kind": "DELETE"}, "salesforce_cdc.Task.DELETE"),
        (
            {"WhatId": ID, "IsClosed": True},
            {"entityName": "Task", "kind": "SNAPSHOT"},
            "salesforce_cdc.Task.SNAPSHOT",
        ),
    ],
)
def test_what_else_is_told(fields: Any, more: Any, type_: str) -> None:
    assert [one.type for one in told(fields, **more).events] == [type_]


@pytest.mark.parametrize(
    ("fields", "more", "type_", "given"),
    [
        (
            {"WhatId": ID, "TaskSubtype": "Call", "Status": "Completed", "CallType": "Inbound"},
            {"entityName": "Task", "kind": "CREATE"},
            "activity.logged",
            {"deal_id": f"s-{ID}", "kind": "call", "direction": "inbound"},
        ),
        (
            {"WhatId": "001x", "StartDateTime": "2026-03-04T09:00:00.000Z"},
            {"entityName": "Event", "kind": "CREATE"},
            "activity.scheduled",
            {"account_id": "001x", "kind": "meeting", "scheduled_for": "2026-03-04T09:00:00+00:00"},
        ),
        (
            {"WhoId": "00Qx", "IsClosed": True},
            {"entityName": "Task"},
            "activity.completed",
            {"lead_id": "00Qx", "kind": "task"},
        ),
    ],
)
def test_activities(fields: Any, more: Any, type_: str, given: Any) -> None:
    (event,) = told(fields, recordIds=["00T1"], **more).events
    assert (event.type, event.data) == (type_, {"activity_id": "00T1"} | given)


@pytest.mark.parametrize("fields", [{"Status": "Completed"}, {"WhatId": ID}, {}])
def test_an_activity_that_changed_without_its_subject_is_to_be_read(fields: Any) -> None:
    translation = told(fields, entityName="Task", recordIds=["00T1"])
    assert translation.refreshes == [Refresh("Task", "00T1", "partial")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_event"),
        ({"data": {"payload": {}}}, "invalid_event"),
        (change(entityName=None), "missing_id"),
        (change(recordIds=[]), "missing_id"),
        (change(recordIds="006"), "missing_id"),
        (change({"Amount": 5}, commitTimestamp="soon"), "invalid_time"),
        (change({"Amount": -5}), "invalid_field"),
        (change({"Amount": 5}, commitNumber=2**64), "invalid_field"),
    ],
)
def test_what_makes_no_event_is_a_puzzle(body: Any, code: str) -> None:
    translation = translated(CONNECTOR, body)
    assert (translation.events, [one.code for one in translation.puzzles]) == ([], [code])


def test_what_is_no_object_is_unreadable() -> None:
    for content in (b"", b'"x"', b"1"):
        with pytest.raises(Unreadable):
            translated(CONNECTOR, content)


def test_a_part_can_be_translated_again_by_itself() -> None:
    (puzzle,) = told({"Amount": -5}).puzzles
    (event,) = translated(CONNECTOR, puzzle.raw | {"Amount": 5}, MAPPED).events
    (first,) = told({"Amount": 5}).events
    assert event == first


def test_a_published_sample() -> None:
    sample = data.file("webhooks/salesforce/opportunity-cdc-event.json").read_bytes()
    translation = translated(CONNECTOR, sample)
    assert translation.refreshes == [Refresh("Opportunity", ID, "no_values")]
    assert (translation.events, translation.puzzles) == ([], [])


def test_a_life_in_any_order() -> None:
    at = int(NOW.timestamp() * 1000)
    life = [
        change(WHOLE | {"StageName": "new", "RecordTypeId": None}, kind="CREATE"),
        change({"Amount": 5}, commitTimestamp=at, sequenceNumber=2),
        change(
            {"StageName": "Proposal/Price Quote"}, commitTimestamp=at + 1, commitNumber=COMMIT + 1
        ),
        change(
            {"StageName": "Closed Lost", "IsClosed": True}, commitTimestamp=at + 2, sequenceNumber=3
        ),
        change(kind="DELETE", commitTimestamp=at + 3, sequenceNumber=4),
        change({"Name": "x"}, kind="UNDELETE", commitTimestamp=at + 4, sequenceNumber=5),
    ]
    told_ = [translated(CONNECTOR, one, MAPPED) for one in life]
    assert [one.puzzles for one in told_] == [[]] * 6
    deal = proofs.same_in_any_order(told_)
    assert deal.state is not None
    facts = deal.state.facts
    assert (facts.status, facts.stage_id, str(facts.amount)) == ("lost", "Closed Lost", "5")
    assert facts.created_at == NOW


def test_a_deal_is_lost_also_in_a_stage_that_nobody_has_published() -> None:
    life = [told(WHOLE | {"RecordTypeId": None}, kind="CREATE")]
    life += [told({"StageName": "Gone", "IsClosed": True}, sequenceNumber=2)]
    deal = proofs.same_in_any_order(life)
    assert deal.state is not None
    assert deal.state.facts.status == "lost"


PUBLISHED = pytest.mark.parametrize("pipeline", ["default", "another"])
"""Whether the deal's own pipeline has stages with classes."""


def lived(*changes: tuple[str, Any], pipeline: str) -> Any:
    """The facts of a deal with these changes, one a day."""
    day, first = 86_400_000, int(NOW.timestamp() * 1000)
    told_ = [
        told(fields, kind=kind, commitTimestamp=first + n * day, sequenceNumber=n + 1)
        for n, (kind, fields) in enumerate(changes)
    ]
    state = proofs.same_in_any_order(told_, pipeline).state
    assert state is not None
    return state.facts


MADE = ("CREATE", WHOLE | {"RecordTypeId": None, "StageName": "offer"})
WON = ("UPDATE", {"StageName": "Closed Won", "IsWon": True, "IsClosed": True})


@PUBLISHED
def test_a_won_deal_that_is_lost_after_all_is_lost(pipeline: str) -> None:
    """It stays closed, so that only `IsWon` is among what changed."""
    lost = ("UPDATE", {"StageName": "Closed Lost", "IsWon": False})
    facts = lived(MADE, WON, lost, pipeline=pipeline)
    assert (facts.status, facts.closed_at) == ("lost", NOW + timedelta(days=2))


@PUBLISHED
def test_a_won_deal_that_is_opened_again_is_open(pipeline: str) -> None:
    opened = ("UPDATE", {"StageName": "new", "IsWon": False, "IsClosed": False})
    facts = lived(MADE, WON, opened, pipeline=pipeline)
    assert (facts.status, facts.stage_id) == ("open", "new")


@PUBLISHED
@pytest.mark.parametrize("kind", ["SNAPSHOT", "UNDELETE"])
def test_a_closed_deal_that_is_told_whole_again_stays_closed(kind: str, pipeline: str) -> None:
    whole = (kind, MADE[1] | WON[1] | {"Amount": 7})
    first = lived(MADE, WON, pipeline=pipeline)
    facts = lived(MADE, WON, whole, pipeline=pipeline)
    assert (facts.life, facts.closed_at) == (first.life, first.closed_at)
    assert (facts.status, str(facts.amount)) == ("won", "7")


SPOILED = (
    change(WHOLE, changedFields=["Amount"], nulledFields=["Name"], diffFields=["x"]),
    change(WHOLE, kind="CREATE"),
    change({"WhatId": ID, "Status": "x", "StartDateTime": 1}, entityName="Event"),
    change({"Name": "x"}, entityName="Account"),
)


@proofs.RUBBISH
@given(proofs.JSON | proofs.spoiled(list(SPOILED)))
def test_rubbish_never_raises(rubbish: Any) -> None:
    proofs.sound(CONNECTOR, rubbish, MAPPED)
