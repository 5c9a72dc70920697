"""Salesforce Outbound Messages: SOAP of one organization, hardened against XML's own tricks."""

from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.crm.model import Connection, Delivery, Unreadable
from services.ingest.domain.crm.salesforce_outbound import CONNECTOR, reply
from tests.unit.ingest.crm import proofs
from tests.unit.ingest.crm.proofs import NOW, refusal, translated

SHORT, LONG = "00D5g000004aBcD", "00D5g000004aBcDEAU"
MAPPED = Connection(
    "c", secrets=(SHORT,), id_prefix="s-", stage_map={"Proposal": "offer"},
    field_map={"Seats__c": "attributes.seats"},
)  # fmt: skip
_MESSAGE = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>
<notifications xmlns="http://soap.sforce.com/2005/09/outbound">
<OrganizationId>{organization}</OrganizationId><ActionId>04k</ActionId>
<SessionId>hidden!session</SessionId><EnterpriseUrl>https://x.example</EnterpriseUrl>
{notifications}</notifications></soapenv:Body></soapenv:Envelope>"""
_NOTIFICATION = """<Notification><Id>{id}</Id>
<sObject xsi:type="sf:{kind}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">{fields}</sObject>
</Notification>"""
RECORD = {
    "Id": "006x", "Name": "Nine presses", "StageName": "Prospecting", "Amount": "12000.5",
    "CloseDate": "2026-06-30", "OwnerId": "005x", "AccountId": "001x", "IsWon": "false",
    "IsClosed": "false", "Seats__c": "3", "CreatedDate": "2026-03-02T09:00:00.000Z",
    "LastModifiedDate": "2026-03-02T09:00:00.000Z", "LastModifiedById": "005y",
}  # fmt: skip


def _field(name: str, value: str | None) -> str:
    return f'<sf:{name} xsi:nil="true"/>' if value is None else f"<sf:{name}>{value}</sf:{name}>"


def note(id_: str | None = "04l1", kind: str | None = "Opportunity", **fields: str | None) -> str:
    told = "".join(_field(*one) for one in fields.items())
    return _NOTIFICATION.format(id=id_, kind=kind, fields=told)


def message(*notes: str, organization: str = LONG) -> bytes:
    return _MESSAGE.format(organization=organization, notifications="".join(notes)).encode()


def told(*notes: str) -> Any:
    return translated(CONNECTOR, message(*notes), MAPPED)


def state(**fields: str | None) -> str:
    return note(**(RECORD | {"CreatedDate": ""} | fields))


@pytest.mark.parametrize("secret", [SHORT, LONG, f" {LONG}\n"])
@pytest.mark.parametrize("organization", [SHORT, LONG])
def test_the_organization_proves(secret: str, organization: str) -> None:
    delivery = Delivery(message(organization=organization), {})
    assert CONNECTOR.verify(delivery, Connection("c", (secret, "00D000000000000")), NOW) == 0
    assert CONNECTOR.verify(delivery, Connection("c", ("00D000000000000", secret)), NOW) == 1


_ELSEWHERE = f"<x><OrganizationId>{SHORT}</OrganizationId></x>"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "signature_missing"),
        (b"<a>" * 100_000, "signature_missing"),
        (message(organization=""), "signature_missing"),
        (message(organization=SHORT[:-1]), "signature_missing"),
        (message(organization=f"<!-- {SHORT} -->x"), "signature_missing"),
        (message(organization=SHORT.lower()), "signature_invalid"),
        (message(organization=LONG[:-1] + "A"), "signature_invalid"),
        (message(_ELSEWHERE, organization="x"), "signature_invalid"),
        (message() + b"<", "signature_invalid"),
        (message().replace(b"?>", b"?><!DOCTYPE a>", 1), "signature_invalid"),
    ],
)  # fmt: skip
def test_what_proves_nothing_is_refused(content: bytes, code: str) -> None:
    assert refusal(CONNECTOR, Delivery(content, {}), MAPPED) == code


@pytest.mark.parametrize("secret", ["", "00D", "x" * 16, SHORT + "AAAA"])
def test_a_secret_that_is_no_organization_proves_nothing(secret: str) -> None:
    given = Delivery(message(organization=secret), {})
    assert refusal(CONNECTOR, given, Connection("c", (secret,)))


def test_no_mutant_of_the_organization_is_proven() -> None:
    """Ten thousand of each of its two spellings that name another one."""
    own = (SHORT.encode(), LONG.encode())
    for named in own:
        mutants = proofs.any_mutants(Delivery(named, {}))
        others = (mutant.body for mutant in mutants if mutant.body.strip() not in own)
        for other in islice(others, proofs.MUTANTS):
            content = message(organization=other.decode("latin-1"))
            refusal(CONNECTOR, Delivery(content, {}), MAPPED)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<",
        b"\xff\xfe<",
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>',
        b"<a>" * 100_000,
        b"<a>" * 100_000 + b"</a>" * 100_000,
        message()[:-20],
        message().replace(b"outbound", b"inbound"),
    ],
)
def test_what_is_no_message_is_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable):
        translated(CONNECTOR, content)


def test_a_record_that_says_when_it_was_made() -> None:
    created, moved, updated = told(note(**RECORD)).events
    assert (created.type, created.id, created.time) == ("deal.created", "006x/created", NOW)
    assert created.data == {"deal_id": "s-006x"}
    assert moved.data == {"deal_id": "s-006x", "actor_id": "005y", "stage_id": "Prospecting"}
    assert updated.data["changes"] == {
        "name": "Nine presses", "amount": "12000.5", "expected_close_date": "2026-06-30",
        "owner_id": "005x", "account_id": "001x", "attributes.seats": "3",
    }  # fmt: skip
    assert (updated.time, updated.id[:5]) == (NOW, "04l1/")
    assert told(note("04l2", **RECORD)).events[0] == created


@pytest.mark.parametrize(
    ("fields", "types"),
    [
        ({"IsWon": "true", "IsClosed": "true"}, ["deal.updated", "deal.won"]),
        ({"IsClosed": "true"}, ["deal.updated", "deal.lost"]),
        ({"IsClosed": "true", "IsWon": None}, ["deal.stage_changed", "deal.updated"]),
        ({"IsWon": "true", "IsClosed": None}, ["deal.updated", "deal.won"]),
        ({"IsClosed": None}, ["deal.stage_changed", "deal.updated"]),
        ({"IsDeleted": "true"}, ["deal.deleted"]),
    ],
)
def test_how_a_deal_ends(fields: Any, types: list[str]) -> None:
    assert [one.type for one in told(state(**fields)).events] == types


def test_an_empty_field_is_cleared() -> None:
    (updated,) = told(note(Id="006x", Amount=None, Name="")).events
    assert updated.data["changes"] == {"amount": None, "name": None}
    assert updated.time is None


@pytest.mark.parametrize(
    ("one", "type_"),
    [
        (note(kind="Account", Id="001x", Name="Acme"), "account.upserted"),
        (note(kind="Contact", Id="003x"), "salesforce_outbound.Contact"),
        (note(Id="006x"), "salesforce_outbound.Opportunity"),
    ],
)
def test_what_else_is_told(one: str, type_: str) -> None:
    assert [event.type for event in told(one).events] == [type_]


def test_what_is_sent_again_is_taken_once_unless_it_has_changed() -> None:
    first, again = told(state()).events[-1], told(state()).events[-1]
    later = told(state(Amount="7")).events[-1]
    assert first == again
    assert first.id != later.id


def test_the_session_goes_nowhere() -> None:
    notes = (
        note(kind="Contact", Id="003x"),
        note(Id="", Name="x"),
        note(**RECORD),
        "<Notification/>",
    )
    translation = told(*notes)
    assert len(translation.puzzles) == 2
    assert "hidden" not in str(translation)


def test_a_rotten_record_spoils_no_other() -> None:
    translation = told(note(Id="006a", Amount="1"), note(Id="006b", Amount="x"), note(Name="x"))
    assert [one.data["deal_id"] for one in translation.events] == ["s-006a"]
    assert [one.code for one in translation.puzzles] == ["invalid_field", "missing_id"]


def test_a_part_can_be_translated_again_by_itself() -> None:
    (puzzle,) = told(note(Id="006b", Amount="x")).puzzles
    puzzle.raw["record"]["Amount"] = "5"
    (event,) = translated(CONNECTOR, puzzle.raw, MAPPED).events
    assert event.data == {"deal_id": "s-006b", "changes": {"amount": "5"}}


@proofs.RUBBISH
@given(proofs.JSON)
def test_rubbish_in_the_place_of_a_part_never_raises(rubbish: Any) -> None:
    proofs.sound(CONNECTOR, {"Id": "04l1", "type": rubbish, "record": rubbish}, MAPPED)
    proofs.sound(
        CONNECTOR,
        {"Id": rubbish, "type": "Opportunity", "record": {"Id": "x", "Name": rubbish}},
        MAPPED,
    )


@pytest.mark.parametrize(("acknowledged", "text"), [(True, "true"), (False, "false")])
def test_the_answer(acknowledged: bool, text: str) -> None:
    root = fromstring(reply(acknowledged))
    path = (
        "{http://schemas.xmlsoap.org/soap/envelope/}Body/{http://soap.sforce.com/2005/09/outbound}"
    )
    outbound = "{http://soap.sforce.com/2005/09/outbound}"
    assert root.findtext(f"{path}notificationsResponse/{outbound}Ack") == text


def on(day: int, **fields: str | None) -> Any:
    time = f"2026-03-{day:02d}T09:00:00.000Z"
    return told(note(f"04l{day}", **(RECORD | {"LastModifiedDate": time} | fields)))


WON = {"StageName": "Closed Won", "IsWon": "true", "IsClosed": "true"}
LOST = {"StageName": "Closed Lost", "IsWon": "false", "IsClosed": "true"}
PUBLISHED = pytest.mark.parametrize("pipeline", ["default", "another"])
"""Whether the deal's own pipeline has stages with classes."""


@PUBLISHED
@pytest.mark.parametrize("end", [WON, LOST])
def test_edits_of_a_closed_deal_leave_its_end_where_it_was(pipeline: str, end: Any) -> None:
    """Each message tells the whole record, also days after the deal was closed."""
    edits = [on(8, **end, Amount="13000"), on(9, **end, Amount="13000", NextStep="call")]
    life = [on(2, StageName="new"), on(3, StageName="offer"), on(4, **end), *edits]
    deal = proofs.same_in_any_order(life, pipeline)
    closed = proofs.same_in_any_order(life[:3], pipeline)
    assert deal.state is not None
    assert (deal.state.facts.life, deal.state.facts.closed_at) == (1, NOW + timedelta(days=2))
    assert str(deal.state.facts.amount) == "13000"
    assert deal.visits == closed.visits


@PUBLISHED
def test_an_end_may_be_taken_back(pipeline: str) -> None:
    life = [on(2, StageName="offer"), on(3, **WON), on(4, **LOST)]
    lost = proofs.same_in_any_order(life, pipeline).state
    assert lost is not None
    assert (lost.facts.status, lost.facts.closed_at) == ("lost", NOW + timedelta(days=2))
    reopened = proofs.same_in_any_order([*life, on(5, StageName="offer")], pipeline).state
    assert reopened is not None
    assert (reopened.facts.status, reopened.facts.life) == ("open", 2)


def test_a_deal_that_is_first_seen_closed_is_so_in_its_own_pipeline() -> None:
    deal = proofs.same_in_any_order([on(4, **WON, RecordTypeId="012x")], "012x").state
    assert deal is not None
    assert (deal.facts.pipeline_id, deal.facts.stage_id) == ("012x", "Closed Won")


def test_a_life_in_any_order() -> None:
    def at(hour: int, **fields: str | None) -> Any:
        time = f"2026-03-02T{hour:02d}:00:00.000Z"
        return told(note(f"04l{hour}", **(RECORD | {"LastModifiedDate": time} | fields)))

    life = [
        at(9, StageName="new"),
        at(10, StageName="new", Amount="5"),
        at(11, StageName="Proposal", Amount="5"),
        at(12, StageName="Closed Won", Amount="5", IsWon="true", IsClosed="true"),
    ]
    deal = proofs.same_in_any_order(life)
    assert deal.state is not None
    facts = deal.state.facts
    assert (facts.status, facts.stage_id, str(facts.amount)) == ("won", "Closed Won", "5")
    assert facts.created_at == NOW


_TEXT = st.text(st.characters(categories=("L", "N", "P", "Z")), max_size=12).map(
    lambda text: text.replace("&", "").replace("<", "")
)


@proofs.RUBBISH
@given(
    st.sampled_from(sorted(RECORD)), _TEXT | st.none(), st.sampled_from(["Opportunity", "Account"])
)
def test_rubbish_never_raises(name: str, value: str | None, kind: str) -> None:
    proofs.sound(CONNECTOR, message(note(kind=kind, **(RECORD | {name: value}))), MAPPED)


@proofs.RUBBISH
@given(st.binary(max_size=60), st.integers(0, len(message(note(**RECORD)))))
def test_broken_messages_never_raise(junk: bytes, at: int) -> None:
    whole = message(note(**RECORD))
    proofs.sound(CONNECTOR, whole[:at] + junk + whole[at + len(junk) :], MAPPED)
