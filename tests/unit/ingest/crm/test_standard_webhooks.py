"""Standard Webhooks: proofs by shared secret and by public key, types of the catalogue."""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given

from services.ingest.domain.crm.model import Connection, Delivery, Unreadable
from services.ingest.domain.crm.standard_webhooks import CONNECTOR
from tests.real import data
from tests.unit.ingest.crm import proofs
from tests.unit.ingest.crm.proofs import NOW, refusal, translated

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNED_AT = datetime.fromtimestamp(1614265330, UTC)
VECTOR = Delivery(
    b'{"test": 2432232314}',
    {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
)
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = "whpk_" + base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
WRONG = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
RIGHT = VECTOR.headers["webhook-signature"]


def of(*secrets: str, **more: Any) -> Connection:
    return Connection("c", secrets=secrets, **more)


def headed(delivery: Delivery, **headers: str) -> Delivery:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(delivery, headers={**delivery.headers, **named})


def asymmetric() -> Delivery:
    signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + VECTOR.body
    return headed(
        VECTOR, webhook_signature="v1a," + base64.b64encode(PRIVATE.sign(signed)).decode()
    )


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_")])
def test_the_published_vector_is_proven(secret: str) -> None:
    assert CONNECTOR.verify(VECTOR, of(secret), SIGNED_AT) == 0


def test_a_public_key_proves() -> None:
    assert CONNECTOR.verify(asymmetric(), of(PUBLIC), SIGNED_AT) == 0
    assert CONNECTOR.verify(asymmetric(), of(SECRET, PUBLIC), SIGNED_AT) == 1


def test_both_secrets_prove_while_they_rotate() -> None:
    other = "whsec_" + base64.b64encode(bytes(24)).decode()
    assert CONNECTOR.verify(VECTOR, of(SECRET, other), SIGNED_AT) == 0
    assert CONNECTOR.verify(VECTOR, of(other, SECRET), SIGNED_AT) == 1


def test_one_right_signature_of_several_is_enough() -> None:
    several = headed(VECTOR, webhook_signature=f"{WRONG} v2,{WRONG[3:]} v1a,x {RIGHT} {WRONG}")
    assert CONNECTOR.verify(several, of(SECRET), SIGNED_AT) == 0


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"webhook_signature": RIGHT.replace("OE=", "OA=")}, "signature_invalid"),
        ({"webhook_signature": "v1,"}, "signature_invalid"),
        ({"webhook_signature": "v2," + RIGHT[3:]}, "signature_invalid"),
        ({"webhook_signature": RIGHT[3:]}, "signature_invalid"),
        ({"webhook_signature": " ".join([WRONG] * 16 + [RIGHT])}, "signature_invalid"),
        ({"webhook_signature": ""}, "signature_missing"),
        ({"webhook_id": ""}, "signature_missing"),
        ({"webhook_id": "a.b"}, "signature_invalid"),
        ({"webhook_id": "a\n"}, "signature_invalid"),
        ({"webhook_timestamp": ""}, "signature_missing"),
        ({"webhook_timestamp": "hello"}, "timestamp_invalid"),
    ],
)
def test_what_proves_nothing_is_refused(headers: Mapping[str, str], code: str) -> None:
    assert refusal(CONNECTOR, headed(VECTOR, **headers), of(SECRET), SIGNED_AT) == code


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whpk_", "whsk_", "whsec_***", PUBLIC, "whpk_AA=="]
)
def test_a_secret_that_is_none_proves_nothing(secret: str) -> None:
    for delivery in (VECTOR, asymmetric()):
        if (delivery, secret) != (asymmetric(), PUBLIC):
            assert refusal(CONNECTOR, delivery, of(secret), SIGNED_AT) == "signature_invalid"


def test_an_id_with_a_dot_is_refused_although_signed() -> None:
    """Else `a.b` at one time and `a` at another would be one signed text."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    for message_id in ("a.b", "a b", "é", "x" * 201):
        signed = f"{message_id}.1614265330.".encode() + VECTOR.body
        proof = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        given = headed(VECTOR, webhook_id=message_id, webhook_signature=proof)
        assert refusal(CONNECTOR, given, of(SECRET), SIGNED_AT) == "signature_invalid"


@pytest.mark.parametrize("text", ["", PUBLIC, PUBLIC.removeprefix("whpk_")])
def test_a_public_key_is_no_shared_secret(text: str) -> None:
    """Everybody knows it: whoever signs by HMAC with it has proven nothing."""
    signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + VECTOR.body
    keys = [text.encode(), base64.b64decode(text.removeprefix("whpk_"))]
    forged = " ".join(
        "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys
    )
    assert refusal(CONNECTOR, headed(VECTOR, webhook_signature=forged), of(PUBLIC), SIGNED_AT)


@pytest.mark.parametrize("away", [-300, -299, 299, 300])
def test_within_the_tolerance(away: int) -> None:
    assert CONNECTOR.verify(VECTOR, of(SECRET), SIGNED_AT + timedelta(seconds=away)) == 0


@pytest.mark.parametrize("away", [-301, 301])
def test_a_replay_is_stale(away: int) -> None:
    now = SIGNED_AT + timedelta(seconds=away)
    assert refusal(CONNECTOR, VECTOR, of(SECRET), now) == "stale"


@pytest.mark.parametrize(("delivery", "secret"), [(VECTOR, SECRET), (asymmetric(), PUBLIC)])
def test_no_mutant_is_proven(delivery: Delivery, secret: str) -> None:
    signed = ("webhook-id", "webhook-timestamp", "webhook-signature")
    for mutant in proofs.mutants(delivery, *signed):
        refusal(CONNECTOR, mutant, of(secret), SIGNED_AT)


def test_the_shared_vectors() -> None:
    vectors = json.loads(data.file("webhooks/standard-webhooks/vectors.json").read_text())
    vector, (several, _) = vectors["vectors"][0], vectors["accept"]
    sent = Delivery(vector["body"].encode(), {k: str(v) for k, v in vector.items()})
    assert CONNECTOR.verify(sent, of(vector["secret"]), SIGNED_AT) == 0
    rotating = headed(sent, webhook_signature=several["webhook-signature"])
    assert CONNECTOR.verify(rotating, of(vector["secret"]), SIGNED_AT) == 0
    for case in vectors["reject"]:
        wrong = {name: value for name, value in case.items() if name != "case"}
        if wrong:
            forged = replace(sent, headers={**sent.headers, **wrong})
            assert refusal(CONNECTOR, forged, of(vector["secret"]), SIGNED_AT)


MAPPED = of(
    id_prefix="x-", stage_map={"3": "offer"}, pipeline_map={"1": "b2b"},
    field_map={"seats": "attributes.seats", "value": "amount"},
)  # fmt: skip
HEAD = {"headers": {"webhook-id": "evt-1"}}


def body(type_: Any, told: Any, timestamp: Any = "2026-03-02T10:00:00+01:00") -> dict[str, Any]:
    return {"type": type_, "timestamp": timestamp, "data": told}


@pytest.mark.parametrize(
    ("type_", "told", "expected"),
    [
        (
            "deal.stage_changed",
            {"deal_id": 7, "stage_id": 3, "from_stage_id": "2", "pipeline_id": "1"},
            {"deal_id": "x-7", "stage_id": "offer", "from_stage_id": "2", "pipeline_id": "b2b"},
        ),
        (
            "deal.created",
            {"deal_id": "7", "value": "5", "seats": 3, "attributes": {"a": 1}},
            {"deal_id": "x-7", "amount": "5", "attributes": {"a": 1, "seats": 3}},
        ),
        (
            "deal.updated",
            {"deal_id": "7", "changes": {"seats": 4, "stage_id": "3"}, "previous": {"value": "4"}},
            {
                "deal_id": "x-7",
                "changes": {"attributes.seats": 4, "stage_id": "offer"},
                "previous": {"amount": "4"},
            },
        ),
        (
            "deal.merged",
            {"deal_id": "7", "merged_deal_ids": ["8", 9]},
            {"deal_id": "x-7", "merged_deal_ids": ["x-8", "x-9"]},
        ),
        ("user.upserted", {"user_id": "u"}, {"user_id": "u"}),
        ("order.cancelled", [1, 2], [1, 2]),
    ],
)
def test_events_of_the_catalogue_in_our_ids(type_: str, told: Any, expected: Any) -> None:
    (event,) = translated(CONNECTOR, body(type_, told), MAPPED, **HEAD).events
    assert (event.id, event.type, event.time, event.data) == ("evt-1", type_, NOW, expected)
    assert event.source == "/connections/c"


@pytest.mark.parametrize(
    ("timestamp", "time"), [(None, None), ("", None), ("2026-03-02T09:00:00", NOW)]
)
def test_the_time_is_the_body_s(timestamp: Any, time: datetime | None) -> None:
    told = body("deal.deleted", {"deal_id": "7"}, timestamp)
    (event,) = translated(CONNECTOR, told, MAPPED, **HEAD).events
    assert event.time == time


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({}, "invalid_type"),
        (body(7, {}), "invalid_type"),
        (body("a\nb", {}), "invalid_type"),
        (body("t" * 201, {}), "invalid_field"),
        (body("deal.deleted", []), "invalid_field"),
        (body("deal.deleted", {}), "missing_field"),
        (body("deal.deleted", {"deal_id": "d", "more": 1}), "unknown_field"),
        (body("deal.deleted", {"deal_id": "d"}, "yesterday"), "invalid_time"),
        (body("deal.deleted", {"deal_id": "d"}, 1_772_442_000), "invalid_time"),
    ],
)
def test_what_makes_no_event_is_a_puzzle(told: Any, code: str) -> None:
    translation = translated(CONNECTOR, told, of(), **HEAD)
    (puzzle,) = translation.puzzles
    assert (translation.events, puzzle.code, puzzle.raw) == ([], code, told)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff"])
def test_what_is_no_object_is_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable):
        translated(CONNECTOR, content)


SAMPLE = body(
    "deal.updated",
    {"deal_id": "7", "changes": {"seats": 4, "stage_id": "3"}, "previous": {"value": "4"}},
)


@proofs.RUBBISH
@given(proofs.spoiled(SAMPLE) | proofs.JSON)
def test_rubbish_never_raises(told: Any) -> None:
    proofs.sound(CONNECTOR, told, MAPPED, **HEAD)
