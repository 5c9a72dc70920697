"""EspoCRM: two headers that prove, lists of records, what happened in the URL."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, permutations
from typing import Any

import pytest
from hypothesis import given

from services.funnel.domain.model import Projection
from services.ingest.domain.crm.espocrm import CONNECTOR
from services.ingest.domain.crm.model import Connection, Delivery, Refresh, Translation, Unreadable
from tests.unit.ingest.crm import proofs
from tests.unit.ingest.crm.proofs import CONNECTION, NOW, refusal, translated

BODY = b'[{"a":1}]'
NEWER = (
    "d2ViaG9vay0xOjE1ZmU4NTM4ODI1NTZiYmFlN2IwNmRiYzRkYzJjZGQ5M2VmNWRhMzkxY2M3NGFkOTZmMmJiN2VkYzc2"
    "YjkzNzE="
)
OLDER = "d2ViaG9vay0xOhX+hTiCVWu657BtvE3Czdk+9do5HMdK2W8rt+3Ha5Nx"
PROVEN = [Delivery(BODY, {"signature": NEWER}), Delivery(BODY, {"x-signature": OLDER})]
MAPPED = Connection(
    "c", id_prefix="e-", stage_map={"Proposal": "offer"}, field_map={"cSeats": "attributes.seats"}
)
RECORD = {
    "id": "op-1", "name": "Nine presses", "stage": "Prospecting", "amount": 12000.5,
    "amountCurrency": "EUR", "closeDate": "2026-06-30", "accountId": "a-1", "assignedUserId": "u-1",
    "leadSource": "Fair", "cSeats": 3, "probability": 10, "createdAt": "2026-03-02 09:00:00",
    "modifiedAt": "2026-03-02 09:00:00", "modifiedById": "u-2",
}  # fmt: skip
FIELDS = {
    "name": "Nine presses", "stage_id": "Prospecting", "amount": "12000.5", "currency": "EUR",
    "expected_close_date": "2026-06-30", "account_id": "a-1", "owner_id": "u-1", "source": "Fair",
}  # fmt: skip


MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
UPDATE, DELETE = "Opportunity.update", "Opportunity.delete"
GONE = {"id": "op-1"}
"""All that EspoCRM says of a record that was deleted."""


def told(
    event: str | None, *records: Any, of: Connection = MAPPED, at: datetime = NOW
) -> Translation:
    query = {} if event is None else {"event": event}
    return translated(CONNECTOR, list(records), of, query=query, received_at=at)


def change(**fields: Any) -> dict[str, Any]:
    """What changed; EspoCRM leaves `modifiedAt` out of it."""
    return {"id": "op-1", "modifiedById": "u-2", **fields}


def moved(stage: str) -> dict[str, Any]:
    return {"id": "op-1", "stage": stage}


Life = Sequence[tuple[timedelta, str, Sequence[Any]]]


def lived(life: Life) -> tuple[list[str], Projection]:
    """A deal that was created, then what is told of it at these times after: verdicts of the
    latter, and the deal."""
    created = told("Opportunity.create", RECORD | {"stage": "new"})
    sent = [(NOW + since, told(event, *body, at=NOW + since)) for since, event, body in life]
    verdicts, deal = proofs.arrived([(NOW, created), *sent])
    return verdicts[1:], deal


def stages(deal: Projection) -> list[str]:
    return [visit.row.stage_id for visit in deal.visits if visit.known_to is None]


@pytest.mark.parametrize("delivery", PROVEN)
def test_both_headers_prove_by_either_secret(delivery: Delivery) -> None:
    assert CONNECTOR.verify(delivery, Connection("c", ("s3cret", "old")), NOW) == 0
    assert CONNECTOR.verify(delivery, Connection("c", ("new", "s3cret")), NOW) == 1


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "signature_missing"),
        ({"signature": ""}, "signature_missing"),
        ({"signature": "***"}, "signature_invalid"),
        ({"signature": OLDER}, "signature_invalid"),
        ({"x-signature": NEWER}, "signature_invalid"),
        ({"signature": OLDER, "x-signature": OLDER}, "signature_invalid"),
        ({"signature": base64.b64encode(b"webhook-1:").decode()}, "signature_invalid"),
    ],
)
def test_what_proves_nothing_is_refused(headers: dict[str, str], code: str) -> None:
    assert refusal(CONNECTOR, Delivery(BODY, headers), CONNECTION) == code


@pytest.mark.parametrize("delivery", PROVEN)
def test_no_mutant_is_proven(delivery: Delivery) -> None:
    """Ten thousand that touch what is signed, or how its signature is spelled."""
    ((name, text),) = delivery.headers.items()
    touched = (
        mutant
        for mutant in proofs.any_mutants(delivery, name)
        if mutant.body != BODY or _proof(mutant.headers[name]) != _proof(text)
    )
    for mutant in islice(touched, proofs.MUTANTS):
        refusal(CONNECTOR, mutant, CONNECTION)


@pytest.mark.parametrize("delivery", PROVEN)
def test_the_unsigned_id_of_a_webhook_says_nothing(delivery: Delivery) -> None:
    """EspoCRM signs the body alone, and puts the webhook's id beside the signature in one header. A
    connection knows no such id to hold it against, so whoever is between may change it; it names
    no event, and changes none."""
    ((name, text),) = delivery.headers.items()
    proof = _proof(text)
    assert proof is not None
    created = {"event": "Opportunity.create"}
    told = translated(CONNECTOR, [RECORD], MAPPED, headers=delivery.headers, query=created)
    for other in (b"", b"webhook-2", b"\xff" * 200):
        spelled = base64.b64encode(other + b":" + proof).decode()
        renamed = replace(delivery, headers={name: spelled})
        assert CONNECTOR.verify(renamed, CONNECTION, NOW) == 0
        again = translated(CONNECTOR, [RECORD], MAPPED, headers=renamed.headers, query=created)
        assert again == told


def _proof(text: str) -> bytes | None:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded.partition(b":")[2] if base64.b64encode(decoded).decode() == text else None


def test_a_created_record() -> None:
    (event,) = told("Opportunity.create", RECORD).events
    assert (event.type, event.time) == ("deal.created", NOW)
    assert event.data == {"deal_id": "e-op-1", **FIELDS, "attributes": {"seats": 3}}


@pytest.mark.parametrize(
    ("event", "record", "expected"),
    [
        (
            "Opportunity.update",
            change(stage="Proposal", amount="7"),
            [
                ("deal.stage_changed", {"stage_id": "offer"}),
                ("deal.updated", {"changes": {"amount": "7"}}),
            ],
        ),
        (
            "Opportunity.fieldUpdate.stage",
            change(stage="Lost"),
            [("deal.stage_changed", {"stage_id": "Lost"})],
        ),
        (
            "Opportunity.update",
            change(amount=None, name=""),
            [("deal.updated", {"changes": {"amount": None, "name": None}})],
        ),
        ("Opportunity.delete", change(), [("deal.deleted", {})]),
        (None, change(deleted=True), [("deal.deleted", {})]),
        (None, change(amount=1), [("deal.updated", {"changes": {"amount": "1"}})]),
    ],
)
def test_what_happened_to_a_deal(event: str | None, record: Any, expected: list[Any]) -> None:
    events = told(event, record).events
    by = {"deal_id": "e-op-1", "actor_id": "u-2"}
    assert [(one.type, one.data) for one in events] == [
        (kind, by | data) for kind, data in expected
    ]


@pytest.mark.parametrize(
    ("event", "record", "type_"),
    [
        ("Opportunity.update", change(probability=7), "espocrm.Opportunity.update"),
        ("Opportunity.follow", change(), "espocrm.Opportunity.follow"),
        ("Contact.create", {"id": "c"}, "espocrm.Contact.create"),
        ("Account.delete", {"id": "a"}, "espocrm.Account.delete"),
        ("Account.update", {"id": "a", "name": "Acme"}, "account.upserted"),
        ("Call.create", {"id": "k", "status": "Held"}, "espocrm.Call.create"),
    ],
)
def test_what_else_is_told(event: str, record: Any, type_: str) -> None:
    assert [one.type for one in told(event, record).events] == [type_]


CALL = {
    "id": "k", "status": "Planned", "dateStart": "2026-03-04 09:00:00", "direction": "Outbound",
    "assignedUserId": "u-1", "parentType": "Opportunity", "parentId": "op-1", "accountId": "a-1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("event", "record", "type_", "about"),
    [
        ("Call.create", CALL, "activity.scheduled", {"deal_id": "e-op-1"}),
        ("Call.create", CALL | {"status": "Held"}, "activity.logged", {"deal_id": "e-op-1"}),
        ("Call.update", CALL | {"status": "Held"}, "activity.completed", {"deal_id": "e-op-1"}),
        ("Call.update", CALL | {"status": "Not Held"}, "activity.cancelled", {"deal_id": "e-op-1"}),
        ("Call.create", CALL | {"parentType": "Lead"}, "activity.scheduled", {"lead_id": "op-1"}),
        ("Call.create", CALL | {"parentType": None}, "activity.scheduled", {"account_id": "a-1"}),
    ],
)
def test_activities(event: str, record: Any, type_: str, about: Any) -> None:
    (one,) = told(event, record).events
    assert one.type == type_
    assert one.data == {
        "activity_id": "k", "kind": "call", "actor_id": "u-1", "direction": "outbound",
        "scheduled_for": "2026-03-04T09:00:00+00:00", **about,
    }  # fmt: skip


def test_an_activity_that_changed_without_its_subject_is_to_be_read() -> None:
    translation = told("Call.update", {"id": "k", "status": "Held"})
    assert translation.refreshes == [Refresh("Call", "k", "partial")]
    assert (translation.events, translation.puzzles) == ([], [])


def test_a_record_of_which_nobody_tells_whether_it_is_new() -> None:
    created, moved, updated = told(None, RECORD).events
    assert (created.type, created.data) == ("deal.created", {"deal_id": "e-op-1"})
    assert (moved.type, updated.type) == ("deal.stage_changed", "deal.updated")
    again = told(None, RECORD | {"stage": "Proposal", "modifiedAt": "2026-03-04 09:00:00"}).events
    assert again[0] == created
    assert again[1].id != moved.id


def test_the_url_that_the_connection_names_comes_first() -> None:
    fixed = replace(MAPPED, public_url="https://x.example/v1/webhooks/c?event=Opportunity.create")
    (event,) = told("Opportunity.delete", RECORD, of=fixed).events
    assert event.type == "deal.created"
    for url in ("https://x.example/v1/webhooks/c", "http://[", ""):
        (event,) = told("Opportunity.delete", RECORD, of=replace(MAPPED, public_url=url)).events
        assert event.type == "deal.deleted"


def test_every_change_counts_whatever_was_told_before() -> None:
    moves = [(n * HOUR, UPDATE, [moved(stage)]) for n, stage in enumerate(("b", "a", "b"), 1)]
    verdicts, deal = lived(moves)
    assert verdicts == ["accepted"] * 3
    assert stages(deal) == ["new", "b", "a", "b"]


def test_a_stage_that_is_put_back_within_minutes_counts() -> None:
    """Deliveries of one webhook are a run of its job apart, which is a minute at least."""
    moves = [(n * MINUTE, UPDATE, [moved(stage)]) for n, stage in enumerate(("b", "a", "b"), 1)]
    verdicts, deal = lived(moves)
    assert verdicts == ["accepted"] * 3
    assert stages(deal) == ["new", "b", "a", "b"]


def test_a_deal_is_deleted_again_after_it_was_restored() -> None:
    back = change(deleted=False, amount=7)
    life = [(HOUR, DELETE, [GONE]), (2 * HOUR, UPDATE, [back]), (3 * HOUR, DELETE, [GONE])]
    verdicts, _ = lived(life)
    assert verdicts == ["accepted"] * 3


@pytest.mark.parametrize("order", list(permutations(["b", "a", "offer", "b"])))
def test_the_order_of_a_list_is_the_order_of_its_changes(order: Sequence[str]) -> None:
    verdicts, deal = lived([(HOUR, UPDATE, [moved(stage) for stage in order])])
    assert verdicts == ["accepted"] * 4
    assert deal.state is not None
    assert deal.state.facts.stage_id == order[-1]


def test_fields_of_a_list_count_in_its_order() -> None:
    amounts = [change(amount=n % 3) for n in range(9)]
    _, deal = lived([(HOUR, UPDATE, amounts)])
    assert deal.state is not None
    assert str(deal.state.facts.amount) == "2"


@pytest.mark.parametrize("record", [moved("b"), change(amount=1, stage="b"), change(probability=7)])
def test_a_delivery_sent_again_at_once_is_taken_once(record: Any) -> None:
    """Whoever stands between may send a request twice."""
    body = [record, change(amount=2), record]
    first, _ = lived([(HOUR, UPDATE, body)])
    both, _ = lived([(HOUR, UPDATE, body), (HOUR + timedelta(seconds=59), UPDATE, body)])
    assert both == [*first, *["duplicate"] * len(first)]


@pytest.mark.parametrize("after", [MINUTE, 10 * MINUTE, 30 * MINUTE])
@pytest.mark.parametrize(
    ("event", "body"),
    [(UPDATE, [moved("b"), change(amount=2)]), (UPDATE, [change(name="x")]), (DELETE, [GONE])],
)
def test_what_is_tried_again_later_says_the_same_once_more(
    event: str, body: Sequence[Any], after: timedelta
) -> None:
    _, once = lived([(HOUR, event, body)])
    verdicts, twice = lived([(HOUR, event, body), (HOUR + after, event, body)])
    assert set(verdicts) == {"accepted"}
    assert once.state is not None
    assert twice.state is not None
    assert twice.state.facts == once.state.facts
    assert (twice.visits, twice.spans) == (once.visits, once.spans)


def test_a_creation_sent_again_is_taken_once_whenever_it_comes() -> None:
    for record in (RECORD, {"id": "op-1", "name": "x"}):
        first = told("Opportunity.create", record).events
        assert told("Opportunity.create", record, at=NOW + HOUR).events == first


def test_a_change_that_tells_its_time_is_named_by_it_and_its_contents() -> None:
    dated = change(modifiedAt="2026-03-03 09:00:00", amount=1)
    first, second = told(UPDATE, dated, dated | {"amount": 2}).events
    (again,) = told(UPDATE, dated, at=NOW + HOUR).events
    assert first.id != second.id
    assert first == again
    assert first.time == NOW + timedelta(days=1)


@pytest.mark.parametrize(
    "rotten", [7, None, {}, {"id": []}, change(modifiedAt="x"), change(amount=[])]
)
def test_a_rotten_record_spoils_no_other(rotten: Any) -> None:
    translation = told("Opportunity.update", change(amount=1), rotten, change(stage="x"))
    assert [one.type for one in translation.events] == ["deal.updated", "deal.stage_changed"]
    assert [one.raw for one in translation.puzzles] == [rotten]


def test_a_part_can_be_translated_again_by_itself() -> None:
    (puzzle,) = told("Opportunity.update", change(amount="many")).puzzles
    mended = puzzle.raw | {"amount": "5"}
    (event,) = translated(CONNECTOR, mended, MAPPED, query={"event": "Opportunity.update"}).events
    assert event.data["changes"] == {"amount": "5"}


def test_what_is_no_list_is_unreadable() -> None:
    for content in (b"", b"7", b"[" * 100_000):
        with pytest.raises(Unreadable):
            translated(CONNECTOR, content)


@pytest.mark.parametrize("named", [True, False])
def test_a_life_in_any_order(named: bool) -> None:
    """Each as it was received, in whatever order it is worked off."""
    life = [
        ("create", RECORD | {"stage": "new"}),
        ("update", change(amount=5)),
        ("fieldUpdate.stage", moved("Proposal")),
        ("delete", GONE if named else GONE | {"deleted": True}),
    ]
    deal = proofs.same_in_any_order(
        [
            received(f"Opportunity.{kind}" if named else None, record, NOW + day * 24 * HOUR)
            for day, (kind, record) in enumerate(life)
        ]
    )
    assert deal.state is not None
    facts = deal.state.facts
    assert (facts.status, facts.stage_id, str(facts.amount)) == ("deleted", "offer", "5")
    assert facts.created_at == NOW


def received(event: str | None, record: Any, at: datetime) -> Translation:
    """A delivery whose events have their receipt's time, as they have once they are accepted."""
    events = told(event, record, at=at).events
    return Translation([replace(one, time=one.time or at) for one in events])


@proofs.RUBBISH
@given(proofs.spoiled([RECORD, CALL, change(stage="x")]) | proofs.JSON)
def test_rubbish_never_raises(rubbish: Any) -> None:
    for event in ("Opportunity.create", "Opportunity.update", "Call.update", "Account.create", ""):
        proofs.sound(CONNECTOR, rubbish, MAPPED, query={"event": event}, received_at=NOW)
