"""HubSpot: three signatures, single properties, nothing about before."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.funnel.domain.model import StageClass
from services.ingest.domain.crm.hubspot import translate
from services.ingest.domain.crm.hubspot_signatures import verify, weakest_of
from services.ingest.domain.crm.model import (
    Connection,
    Delivery,
    Incomplete,
    Refresh,
    Refused,
    SignatureVersion,
    Unreadable,
)
from tests.unit.ingest.crm.checks import (
    ANYTHING,
    NOW,
    candidates,
    delivery,
    every_order,
    is_refused,
    mutants,
    places,
    repeated,
    state,
    survives,
    with_value,
)

SECRET, URL = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy", "https://www.example.com/webhook_uri"
HUB = Connection("hub", secrets=(SECRET,), public_url=URL, signature_seen="v3")
OLDER, STRICT = replace(HUB, weakest_signature="v1"), replace(HUB, weakest_signature="v3")
"""What it takes when its owner says so; by itself it asks for the third version, once it has met
that one."""
UNMET = replace(HUB, signature_seen=None)
PYTHON, NODE = b"{'example_field':'example_value'}", b'{"example_field":"example_value"}'
SDK_TIME = datetime(1970, 1, 1, 4, 10, tzinfo=UTC)
V1, V3, V3_TIME = "x-hubspot-signature", "x-hubspot-signature-v3", "x-hubspot-request-timestamp"
INCOMPLETE = "connection_incomplete"


def refusal(given: Delivery, asked: Connection) -> str:
    with pytest.raises((Refused, Incomplete)) as refused:
        verify(given, asked, NOW)
    assert isinstance(refused.value, Refused | Incomplete)
    return refused.value.code


def old(signature: str, version: str | None, body: bytes, method: str = "POST") -> Delivery:
    headers = {"x-hubspot-signature": signature}
    if version is not None:
        headers["x-hubspot-signature-version"] = version
    return Delivery(body, headers, method=method)


def v1(body: bytes, secret: str = SECRET) -> str:
    return hashlib.sha256(secret.encode() + body).hexdigest()


def v2(body: bytes, url: str = URL, secret: str = SECRET) -> str:
    return hashlib.sha256(f"{secret}POST{url}".encode() + body).hexdigest()


def v3(body: bytes = NODE, *, at: datetime = NOW, url: str = URL, secret: str = SECRET) -> Delivery:
    """As HubSpot signs; `url` is the decoded one."""
    sent = str(int(at.timestamp() * 1000))
    signed = f"POST{url}".encode() + body + sent.encode()
    proof = base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()
    return Delivery(body, {"x-hubspot-signature-v3": proof, "x-hubspot-request-timestamp": sent})


SAMPLE = b'[{"subscriptionType":"deal.creation","objectId":173595202426,"attemptNumber":0}]'


@pytest.mark.parametrize(
    "signed",
    [
        old("69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750", "v1", PYTHON),
        old("69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750", None, PYTHON),
        old("4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383", "v2", PYTHON),
        old("eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e", "v2", b"", "GET"),
        old("9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900", "v2", NODE),
    ],
)
def test_vectors_of_v1_and_v2(signed: Delivery) -> None:
    assert verify(signed, OLDER, NOW) == 0


def test_the_vector_of_v3() -> None:
    headers = {
        "x-hubspot-signature-v3": "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw=",
        "x-hubspot-request-timestamp": "15000000",
    }
    assert verify(Delivery(PYTHON, headers), HUB, SDK_TIME) == 0


def test_v3_signs_the_url_with_some_escapes_decoded() -> None:
    public = "https://crm.example.com/a%2Fb%20c?x=%3a%C3%A9&y=%253A"
    signed = v3(url="https://crm.example.com/a/b%20c?x=:%C3%A9&y=%253A")
    assert verify(signed, replace(HUB, public_url=public), NOW) == 0


@pytest.mark.parametrize("away", [-300, -299, 299, 300])
def test_a_v3_within_the_tolerance_passes(away: int) -> None:
    assert verify(v3(at=NOW + timedelta(seconds=away)), HUB, NOW) == 0


@pytest.mark.parametrize("away", [-301, 301])
def test_a_replayed_v3_is_refused(away: int) -> None:
    with pytest.raises(Refused) as refused:
        verify(v3(at=NOW + timedelta(seconds=away)), HUB, NOW)
    assert refused.value.code == "stale"


def every_version(body: bytes, secret: str = SECRET) -> list[Delivery]:
    """Signed by one version each, the weakest first."""
    first, second = v1(body, secret), v2(body, secret=secret)
    return [old(first, "v1", body), old(second, "v2", body), v3(body, secret=secret)]


@pytest.mark.parametrize("version", [0, 1, 2])
def test_both_secrets_prove_while_they_rotate(version: int) -> None:
    rotating = replace(OLDER, secrets=("new", SECRET))
    assert verify(every_version(NODE, "new")[version], rotating, NOW) == 0
    assert verify(every_version(NODE)[version], rotating, NOW) == 1
    assert is_refused(verify, every_version(NODE, "gone")[version], rotating)


def without(delivery: Delivery, *names: str) -> Delivery:
    return replace(delivery, headers={k: v for k, v in delivery.headers.items() if k not in names})


def by_two(body: bytes, older: int, at: datetime = NOW) -> Delivery:
    """As HubSpot sends: an older version beside the third."""
    weaker, stronger = every_version(body)[older], v3(body, at=at)
    return replace(stronger, headers={**weaker.headers, **stronger.headers})


@pytest.mark.parametrize("age", [0, 301, 86_400])
@pytest.mark.parametrize("older", [0, 1])
def test_a_captured_delivery_without_its_v3_proves_nothing_at_any_age(older: int, age: int) -> None:
    captured = by_two(NODE, older, NOW - timedelta(seconds=age))
    for stripped in (without(captured, V3), without(captured, V3, V3_TIME)):
        assert refusal(stripped, STRICT) == "signature_missing"
        assert refusal(stripped, HUB) == "connection_incomplete", "the owner has not said which"
    assert refusal(without(v3(), V3), HUB) == "signature_missing"


@pytest.mark.parametrize("weakest", ["v1", "v2", "v3", None])
@pytest.mark.parametrize(("url", "seen"), [(URL, "v3"), (URL, None), (None, None)])
def test_what_is_weaker_than_the_connection_asks_for(
    weakest: SignatureVersion | None, url: str | None, seen: SignatureVersion | None
) -> None:
    """Without a URL nothing but the first version can be judged, and without a word of the owner
    what the app has been seen to sign by is asked for."""
    asked = replace(HUB, weakest_signature=weakest, public_url=url, signature_seen=seen)
    needed = weakest or seen or "v1"
    for version, signed in zip(("v1", "v2", "v3"), every_version(NODE), strict=True):
        if version > "v1" and url is None:
            assert refusal(signed, asked) == INCOMPLETE
        elif version < needed:
            assert refusal(signed, asked) == ("signature_missing" if weakest else INCOMPLETE)
        else:
            assert verify(signed, asked, NOW) == 0
    assert needed == weakest_of(weakest, seen)


def test_a_wrong_older_signature_is_the_senders_fault_whatever_is_asked_for() -> None:
    for asked in (HUB, STRICT, OLDER, UNMET, replace(UNMET, public_url=None)):
        assert refusal(old(v1(NODE, "x"), "v1", NODE), asked) == "signature_invalid"
        assert refusal(Delivery(NODE, {}), asked) == "signature_missing"


@pytest.mark.parametrize("asked", [OLDER, HUB, STRICT, UNMET])
def test_a_wrong_v3_is_not_rescued_by_a_right_v1(asked: Connection) -> None:
    right = by_two(NODE, 0)
    assert verify(right, asked, NOW) == 0
    for wrong in ("", "A" * 44):
        headers = {**right.headers, V3: wrong}
        assert is_refused(verify, replace(right, headers=headers), asked)
    assert is_refused(verify, without(right, V3_TIME), asked)


def test_v2_and_v3_without_the_public_url_are_no_fault_of_the_sender() -> None:
    unknown = replace(UNMET, public_url=None)
    for signed in (v3(), old(v2(NODE), "v2", NODE), v3(secret="another")):
        with pytest.raises(Incomplete, match="public_url"):
            verify(signed, unknown, NOW)
    assert verify(old(v1(NODE), "v1", NODE), unknown, NOW) == 0


def test_what_is_the_senders_fault_is_so_also_without_the_public_url() -> None:
    unknown, late = replace(UNMET, public_url=None), v3(at=NOW - timedelta(seconds=301))
    untimed = Delivery(NODE, {"x-hubspot-signature-v3": "x"})
    for wrong in (late, untimed, old("", "v2", NODE), old(v1(NODE, "x"), "v1", NODE)):
        assert is_refused(verify, wrong, unknown)


@pytest.mark.parametrize(
    "signed",
    [
        Delivery(NODE, {}),
        old(v1(NODE), "v2", NODE),
        old(v2(NODE), "v1", NODE),
        old(v1(NODE), "v4", NODE),
        old(v2(NODE), "v2", NODE, "PUT"),
        replace(v3(), method="PUT"),
        v3(url=URL + "?"),
        v3(url="http://www.example.com/webhook_uri"),
        v3(secret="another"),
    ],
)
def test_what_was_signed_otherwise_is_refused(signed: Delivery) -> None:
    assert all(is_refused(verify, signed, asked) for asked in (HUB, OLDER, STRICT, UNMET))


def as_it_came(signed: Delivery) -> Delivery:
    return signed


def stripped(signed: Delivery) -> Delivery:
    """Without the header that decides."""
    return without(signed, V3)


def renamed(signed: Delivery) -> Delivery:
    """As whoever is between may do, so that an older version decides."""
    return replace(stripped(signed), headers={
        **stripped(signed).headers, "x-hubspot-signature-v4": signed.headers[V3]
    })  # fmt: skip


@pytest.mark.parametrize(
    ("signed", "headers", "asked"),
    [
        (old(v1(SAMPLE), "v1", SAMPLE), [V1], OLDER),
        (old(v2(SAMPLE), "v2", SAMPLE), [V1], OLDER),
        (v3(SAMPLE), [V3, V3_TIME], HUB),
        (by_two(SAMPLE, 0), [V3, V3_TIME], OLDER),
    ],
)
def test_ten_thousand_mutants_are_refused(
    signed: Delivery, headers: list[str], asked: Connection
) -> None:
    assert not is_refused(verify, signed, asked)
    assert all(is_refused(verify, mutant, asked) for mutant in mutants(signed, headers, 10_000))


@pytest.mark.parametrize("older", [0, 1])
@pytest.mark.parametrize("without_v3", [stripped, renamed])
def test_ten_thousand_mutants_without_their_v3_are_refused(
    without_v3: Callable[[Delivery], Delivery], older: int
) -> None:
    """A mutant of the older signature is wrong by itself; one of what the third alone covers is
    refused since that is missing."""
    whole = by_two(SAMPLE, older)
    assert not is_refused(verify, whole, STRICT)
    for mutant in mutants(whole, [V1, V3, V3_TIME], 10_000):
        assert is_refused(verify, without_v3(mutant), STRICT)
        assert refusal(without_v3(mutant), HUB)


# What it means

AT = 1_772_440_000_000


def told(kind: str, at: int = AT, **more: Any) -> dict[str, Any]:
    return {
        "eventId": 1, "subscriptionId": 7, "portalId": 62515, "appId": 5, "occurredAt": at,
        "subscriptionType": kind, "attemptNumber": 0, "objectId": 173595202426,
        "changeSource": "CRM_UI", **more,
    }  # fmt: skip


def changed(name: str, value: Any, at: int = AT, **more: Any) -> dict[str, Any]:
    return told("deal.propertyChange", at, propertyName=name, propertyValue=value, **more)


DEAL = "173595202426"


def only(part: Any, connection: Connection = HUB) -> tuple[str, Any]:
    translation = translate(delivery([part]), connection)
    assert not translation.puzzles
    (event,) = translation.events
    return event.type, event.data


@pytest.mark.parametrize(
    ("name", "value", "changes"),
    [
        ("amount", "1200.50", {"amount": "1200.50"}),
        ("amount", "", {"amount": None}),
        ("amount", 1200.5, {"amount": "1200.5"}),
        ("deal_currency_code", "EUR", {"currency": "EUR"}),
        ("closedate", "1772442000000", {"expected_close_date": "2026-03-02"}),
        ("closedate", "", {"expected_close_date": None}),
        ("dealname", "Pumps", {"name": "Pumps"}),
        ("hubspot_owner_id", "81", {"owner_id": "81"}),
        ("hubspot_team_id", 9, {"team_id": "9"}),
        ("hs_primary_associated_company", "55", {"account_id": "55"}),
        ("pipeline", "default", {"pipeline_id": "default"}),
        ("dealtype", "newbusiness", {"customer_type": "new"}),
        ("dealtype", "existingbusiness", {"customer_type": "existing"}),
        ("dealtype", "renewal", {"attributes.dealtype": "renewal"}),
        ("dealtype", "", {"customer_type": None}),
        ("seats", "40", {"attributes.seats": "40"}),
        ("seats", "", {"attributes.seats": None}),
    ],
)
def test_properties_of_deals(name: str, value: Any, changes: Mapping[str, Any]) -> None:
    expected = ("deal.updated", {"deal_id": DEAL, "changes": changes})
    assert only(changed(name, value)) == expected
    generic = told("object.propertyChange", objectTypeId="0-3")
    assert only({**generic, "propertyName": name, "propertyValue": value}) == expected


def test_a_stage_is_a_change_of_stage_by_whom_hubspot_names() -> None:
    assert only(changed("dealstage", "closedwon", sourceId="userId:10202051")) == (
        "deal.stage_changed",
        {"deal_id": DEAL, "stage_id": "closedwon", "actor_id": "userId:10202051"},
    )


def test_maps_and_prefix_of_the_connection() -> None:
    mapped = replace(
        HUB,
        id_prefix="hs-",
        stage_map={"closedwon": "won"},
        pipeline_map={"default": "new"},
        field_map={"dealname": "attributes.title", "segment": "industry", "dealtype": "source"},
    )
    deal = {"deal_id": "hs-" + DEAL}
    assert only(changed("dealstage", "closedwon"), mapped)[1] == deal | {"stage_id": "won"}
    for name, value, changes in (
        ("pipeline", "default", {"pipeline_id": "new"}),
        ("dealname", "x", {"attributes.title": "x"}),
        ("segment", "retail", {"industry": "retail"}),
        ("dealtype", "newbusiness", {"source": "newbusiness"}),
    ):
        assert only(changed(name, value), mapped)[1] == deal | {"changes": changes}


@pytest.mark.parametrize(
    ("part", "type_", "data"),
    [
        (told("deal.creation"), "deal.created", {}),
        (told("object.creation", objectTypeId="0-3"), "deal.created", {}),
        (told("deal.creation", objectId="173595202426"), "deal.created", {}),
        (told("deal.creation", objectId=173595202426.0), "deal.created", {}),
        (told("deal.deletion"), "deal.deleted", {}),
        (told("deal.restore"), "deal.restored", {}),
        (changed("hs_is_closed_won", "true"), "deal.won", {}),
        (changed("hs_is_closed_lost", "true"), "deal.lost", {}),
    ],
)
def test_deals_come_and_go(part: Any, type_: str, data: Mapping[str, Any]) -> None:
    assert only(part) == (type_, {"deal_id": DEAL, **data})


@pytest.mark.parametrize(
    ("more", "survivor", "ended"),
    [
        ({"primaryObjectId": 1, "mergedObjectIds": [2, "3"], "newObjectId": 9}, "9", list("123")),
        ({"primaryObjectId": 1, "mergedObjectIds": [2], "newObjectId": 1}, "1", ["2"]),
        ({"primaryObjectId": "1", "mergedObjectIds": [2, 1, 2]}, "1", ["2"]),
    ],
)
def test_merged_deals_end_in_the_survivor(more: Any, survivor: str, ended: list[str]) -> None:
    expected = {"deal_id": survivor, "merged_deal_ids": ended}
    assert only(told("deal.merge", **more)) == ("deal.merged", expected)


def linked(kind: str, **more: Any) -> dict[str, Any]:
    sides = {"fromObjectId": 4, "toObjectId": 55, "associationType": "DEAL_TO_COMPANY"}
    return told(
        kind, **{"associationRemoved": False, "isPrimaryAssociation": True, **sides, **more}
    )


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        (linked("deal.associationChange"), {"account_id": "55"}),
        (
            linked(
                "company.associationChange",
                fromObjectId=55,
                toObjectId=4,
                associationType="COMPANY_TO_DEAL",
            ),
            {"account_id": "55"},
        ),
        (
            linked(
                "object.associationChange",
                fromObjectTypeId="0-3",
                toObjectTypeId="0-2",
                associationType="279",
            ),
            {"account_id": "55"},
        ),
    ],
)
def test_the_primary_company_is_the_account(part: Any, changes: Mapping[str, Any]) -> None:
    assert only(part) == ("deal.updated", {"deal_id": "4", "changes": changes})
    assert only({**part, "associationRemoved": True}) == (
        "deal.updated",
        {"deal_id": "4", "changes": {"account_id": None}, "previous": changes},
    )
    assert only({**part, "isPrimaryAssociation": False})[0].startswith("hubspot.")


@pytest.mark.parametrize(
    ("part", "data"),
    [
        (told("company.creation"), {}),
        (told("company.propertyChange", propertyName="name", propertyValue="A"), {"name": "A"}),
        (
            told("company.propertyChange", propertyName="hubspot_owner_id", propertyValue=81),
            {"owner_id": "81"},
        ),
    ],
)
def test_companies_are_accounts(part: Any, data: Mapping[str, Any]) -> None:
    assert only(part) == ("account.upserted", {"account_id": DEAL, **data})


@pytest.mark.parametrize(
    ("part", "type_"),
    [
        (told("contact.creation"), "hubspot.contact.creation"),
        (told("object.creation", objectTypeId="0-5"), "hubspot.ticket.creation"),
        (told("object.creation", objectTypeId="2-33"), "hubspot.object.creation"),
        (told("contact.privacyDeletion"), "hubspot.contact.privacyDeletion"),
        (told("company.propertyChange", propertyName="name", propertyValue=""),
         "hubspot.company.propertyChange"),
        (changed("dealstage", ""), "hubspot.deal.propertyChange"),
        (changed("hs_is_closed_won", "false"), "hubspot.deal.propertyChange"),
        (told("deal.somethingNew"), "hubspot.deal.somethingNew"),
    ],
)  # fmt: skip
def test_what_has_no_use_is_kept_under_its_own_name(part: Any, type_: str) -> None:
    uncounted = {
        name: one for name, one in part.items() if name not in ("attemptNumber", "eventId")
    }
    assert only(part) == (type_, uncounted)


def test_a_property_without_its_value_is_to_be_read() -> None:
    part = told("deal.propertyChange", propertyName="secret_code", isSensitive=True)
    translation = translate(delivery([part]), HUB)
    assert list(translation.refreshes) == [Refresh("deal", DEAL, "no_values")]
    assert [event.type for event in translation.events] == ["hubspot.deal.propertyChange"]


@pytest.mark.parametrize(
    "part",
    [
        7, None, "x", {}, {"subscriptionType": 5},
        told("deal.creation", objectId=None), told("deal.creation", objectId=""),
        told("deal.creation", objectId=True), told("deal.creation", occurredAt="soon"),
        told("deal.creation", occurredAt=10**18), changed("amount", "-5"),
        changed("amount", "much"), changed("amount", "\x00"), changed("dealstage", ["a"]),
        changed("", "x"), {**changed("", "x"), "propertyName": None},
        changed("closedate", "9999-01-01"), changed("deal_currency_code", "XXL"),
        told("deal.merge", primaryObjectId=1, mergedObjectIds=[]),
        told("deal.merge", mergedObjectIds=[1]), told("company.creation", objectId=[]),
        told("contact.\n"), told("x" * 300),
    ],
)  # fmt: skip
def test_a_rotten_item_is_a_puzzle_and_spoils_no_neighbour(part: Any) -> None:
    translation = translate(delivery([changed("amount", "1"), part, told("deal.deletion")]), HUB)
    assert [event.type for event in translation.events] == ["deal.updated", "deal.deleted"]
    assert [puzzle.raw for puzzle in translation.puzzles] == [part]


def test_a_single_event_needs_no_list_and_other_bodies_are_unreadable() -> None:
    assert len(translate(delivery(told("deal.creation")), HUB).events) == 1
    assert not translate(delivery([]), HUB).events
    for body in (b"7", b'"x"', b"null", b"{"):
        with pytest.raises(Unreadable):
            translate(Delivery(body, {}), HUB)


def ids(*parts: Any) -> list[str | None]:
    return [event.id for event in translate(delivery(list(parts)), HUB).events]


@pytest.mark.parametrize(
    "part",
    [
        changed("amount", "5"), changed("dealstage", "new"), told("deal.creation"),
        told("deal.somethingNew"), told("contact.creation"), told("company.merge"),
        told("deal.propertyChange", propertyName="secret_code", isSensitive=True),
    ],
)  # fmt: skip
def test_another_attempt_is_the_same_event_in_id_and_body(part: Any) -> None:
    again = {**part, "attemptNumber": 3, "eventId": 99}
    assert repeated(translate, HUB, [part], [again]) == (["accepted"], [("duplicate", None)])


def test_ids_name_the_occurrence_whatever_the_attempt_or_the_json_type() -> None:
    first = changed("amount", "5")
    again = {**first, "attemptNumber": 3, "eventId": 99, "changeFlag": "NEW"}
    typed = {**first, "objectId": DEAL, "occurredAt": str(AT), "propertyValue": 5}
    assert len(set(ids(first, again, typed))) == 1
    others = [
        changed("amount", "6"), changed("amount", "5", AT + 1), changed("seats", "5"),
        changed("amount", "5", objectId=8), changed("amount", "5", portalId=8),
        changed("amount", "5", subscriptionId=8), told("deal.creation"), told("deal.deletion"),
    ]  # fmt: skip
    assert len(set(ids(first, *others))) == 9


STAGES: dict[str, dict[str, StageClass]] = {
    "sales": {"new": "open", "offer": "open", "signed": "won", "gone": "lost"}
}
LIFE = [
    [told("deal.creation"), changed("pipeline", "sales"), changed("dealstage", "new")],
    [changed("amount", "900", AT + 1000), changed("dealname", "Pumps", AT + 1000)],
    [changed("dealstage", "offer", AT + 2000)],
    [changed("amount", "1200", AT + 3000)],
]


def test_a_life_of_a_deal_is_the_same_in_any_order() -> None:
    for arrived in every_order(LIFE, translate, HUB):
        deal = state(arrived, DEAL, STAGES)
        assert (deal.facts.pipeline_id, deal.facts.stage_id) == ("sales", "offer")
        assert (str(deal.facts.amount), deal.facts.status) == ("1200", "open")
        assert deal.facts.created_at == datetime.fromtimestamp(AT / 1000, UTC)
    for arrived in every_order([*LIFE, [told("deal.deletion", AT + 4000)]], translate, HUB):
        assert state(arrived, DEAL, STAGES).facts.status == "deleted"


def test_in_one_instant_the_pipeline_comes_before_the_stage_and_the_outcome_last() -> None:
    for n in range(30):
        deal = {"objectId": n}
        parts = [
            changed("hs_is_closed_won", "true", **deal),
            changed("dealstage", "unknown", **deal),
            changed("pipeline", "sales", **deal),
        ]
        facts = state([translate(delivery(parts), HUB)], str(n), STAGES).facts
        assert (facts.pipeline_id, facts.stage_id, facts.status) == ("sales", "signed", "won")


def test_a_change_of_account_in_one_instant_keeps_the_new_one() -> None:
    for n in range(30):
        gone = linked("deal.associationChange", fromObjectId=n, associationRemoved=True)
        new = linked("deal.associationChange", fromObjectId=n, toObjectId=77)
        arrived = [translate(delivery([new, gone]), HUB)]
        assert state(arrived, str(n), {}).facts.account_id == "77"


SAMPLES = [
    told("deal.creation"), changed("dealstage", "a"), changed("closedate", "1772442000000"),
    changed("seats", "4"), told("deal.merge", primaryObjectId=1, mergedObjectIds=[2, 3]),
    linked("object.associationChange", fromObjectTypeId="0-3", toObjectTypeId="0-2"),
    told("company.propertyChange", propertyName="name", propertyValue="A"),
]  # fmt: skip


@given(st.data(), ANYTHING)
def test_any_value_in_any_field_is_survived(data: st.DataObject, value: Any) -> None:
    for sample in SAMPLES:
        path = data.draw(st.sampled_from(list(places(sample))))
        survives(translate, HUB, [with_value(sample, path, value)])


@given(ANYTHING)
def test_any_body_is_survived(body: Any) -> None:
    survives(translate, HUB, body)


def test_a_repeated_delivery_has_the_same_ids() -> None:
    """All that guards against replays where an older version is taken."""
    arrived = [translate(Delivery(SAMPLE, {}), HUB)] * 2
    assert len(candidates(arrived)) == 1
