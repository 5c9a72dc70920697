"""Secrets that could prove nothing: refused where they are put, and no fault of a sender."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, get_args

import pytest

from services.ingest.domain.connections import Definition
from services.ingest.domain.crm.model import Connection, Delivery, Incomplete, Kind, Refused
from services.ingest.domain.crm.registry import CONNECTORS
from services.ingest.domain.crm.secrets import proof, short, useless
from services.ingest.entrypoints.connection_bodies import PutConnection, setting_faults
from services.ingest.entrypoints.connections_complete import incomplete
from tests.unit.ingest.crm.proofs import NOW

KEY = base64.b64encode(bytes(range(24))).decode()
PUBLIC = "whpk_" + base64.b64encode(bytes(range(32))).decode()
ORGANIZATION = "00D5g000004aBcD"
URL = "https://crm.example/v1/webhooks/hub"
GOOD: dict[Kind, Sequence[str]] = {
    "pipedrive": ["user:password", ":"],
    "generic": ["user:password"],
    "close": ["00ff" * 16],
    "standard_webhooks": [KEY, KEY.rstrip("="), f"whsec_{KEY}", PUBLIC, "AA=="],
    "salesforce_cdc": [f"whsec_{KEY}", PUBLIC],
    "salesforce_outbound": [ORGANIZATION, f"{ORGANIZATION}EAU", f" {ORGANIZATION}\n"],
    "hubspot": ["x"],
    "zoho": ["x"],
    "twenty": ["x"],
    "espocrm": ["x"],
}
BAD: dict[Kind, Sequence[str]] = {
    "pipedrive": ["nopassword"],
    "generic": ["nopassword"],
    "close": ["not hex", "abc", " "],
    "standard_webhooks": [
        f"whsk_{KEY}", "not base64!", "whsec_", "whpk_", f"whpk_{KEY}", "whsec_=", "A", "whpk_!",
    ],
    "salesforce_cdc": ["whpk_short", "whsec_", "not base64!"],
    "salesforce_outbound": ["My Org", ORGANIZATION[:-1], f"{ORGANIZATION}E", "0" * 14 + "_", " "],
}  # fmt: skip


def each(table: dict[Kind, Sequence[str]]) -> list[tuple[Kind, str]]:
    return [(kind, secret) for kind, secrets in table.items() for secret in secrets]


def test_every_kind_is_here() -> None:
    assert set(GOOD) == set(get_args(Kind))


@pytest.mark.parametrize(("kind", "secret"), each(GOOD))
def test_what_may_prove_a_delivery_is_taken(kind: Kind, secret: str) -> None:
    assert useless(kind, secret) is None


@pytest.mark.parametrize(("kind", "secret"), each(BAD))
def test_what_can_prove_nothing_is_told(kind: Kind, secret: str) -> None:
    assert useless(kind, secret)


SIGNED: dict[Kind, Delivery] = {
    "pipedrive": Delivery(b"{}", {"authorization": "Basic " + base64.b64encode(b"a:b").decode()}),
    "close": Delivery(
        b"{}", {"close-sig-hash": "ff", "close-sig-timestamp": str(int(NOW.timestamp()))}
    ),
    "salesforce_cdc": Delivery(
        b"{}",
        {
            "webhook-id": "m",
            "webhook-timestamp": str(int(NOW.timestamp())),
            "webhook-signature": "v1,"
            + base64.b64encode(hmac.digest(b"k", b"m", hashlib.sha256)).decode(),
        },
    ),
    "salesforce_outbound": Delivery(
        f"<OrganizationId>{ORGANIZATION}</OrganizationId>".encode(), {}
    ),
}
ANOTHER: dict[Kind, str] = {"salesforce_outbound": "00D000000000001"}
SIGNED["generic"], SIGNED["standard_webhooks"] = SIGNED["pipedrive"], SIGNED["salesforce_cdc"]


def proven(kind: Kind, delivery: Delivery, *secrets: str) -> int:
    return proof(kind, CONNECTORS[kind], delivery, Connection("c", secrets), NOW)


@pytest.mark.parametrize(("kind", "secret"), each(BAD))
def test_a_signature_that_nothing_here_could_prove_is_no_fault_of_the_sender(
    kind: Kind, secret: str
) -> None:
    with pytest.raises(Incomplete):
        proven(kind, SIGNED[kind], secret, secret)
    with pytest.raises(Refused):
        proven(kind, SIGNED[kind], secret, ANOTHER.get(kind, GOOD[kind][0]))
    with pytest.raises(Refused) as refused:
        proven(kind, Delivery(b"", {}), secret)
    assert refused.value.code == "signature_missing", "nothing was signed, whatever is put here"


def faults(
    wanted: dict[str, Any], there: Definition | None, kept: Sequence[str] | None = None
) -> list[tuple[str | None, str]]:
    found = incomplete(PutConnection.model_validate(wanted), there, kept)
    return [(one.pointer, one.code) for one in found]


def test_hubspot_needs_the_url_that_it_signs() -> None:
    new, missing = {"kind": "hubspot", "secrets": ["x"]}, [("/public_url", "missing_field")]
    assert faults(new, None) == missing
    assert faults(new | {"public_url": URL}, None) == []
    assert faults(new, {"kind": "hubspot", "public_url": URL}) == missing
    assert faults(new, {"kind": "twenty", "public_url": None}) == missing
    assert faults({"kind": "twenty", "secrets": ["x" * 16]}, None) == []


def test_a_connection_that_goes_on_by_version_1_may_be_changed() -> None:
    there = {"kind": "hubspot", "public_url": None}
    assert faults({"kind": "hubspot", "id_prefix": "x"}, there, ["x"]) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"weakest_signature": "v1", "public_url": URL}, []),
        ({"weakest_signature": "v3", "public_url": URL}, []),
        ({"weakest_signature": "v1"}, []),
        ({"weakest_signature": "v2"}, [("/weakest_signature", "invalid_field")]),
        ({"weakest_signature": "v3"}, [("/weakest_signature", "invalid_field")]),
        (
            {"kind": "close", "weakest_signature": "v1", "public_url": URL},
            [("/weakest_signature", "invalid_field")],
        ),
        ({"kind": "close", "weakest_signature": None}, []),
    ],
)
def test_the_weakest_signature_is_one_that_hubspot_makes_and_that_can_be_judged(
    settings: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    wanted = PutConnection.model_validate({"kind": "hubspot"} | settings)
    assert [(one.pointer, one.code) for one in setting_faults(wanted, NOW)] == told


def test_another_kind_does_not_keep_secrets_that_could_prove_nothing_of_it() -> None:
    there, wanted = {"kind": "twenty", "public_url": URL}, {"kind": "close"}
    assert faults(wanted, there, ["not hex"]) == [("/secrets", "invalid_secret")]
    assert faults(wanted, there, None) == [("/secrets", "invalid_secret")], "they cannot be read"
    assert faults(wanted, there, ["00ff"]) == []
    assert faults(wanted | {"secrets": ["00ff"]}, there, ["not hex"]) == []
    assert faults({"kind": "twenty"}, there, ["x"]) == []
    assert faults({"kind": "twenty"}, there, None) == []


CHOSEN: dict[Kind, str] = {
    "pipedrive": "user:", "generic": "user:", "zoho": "", "twenty": "",
    "standard_webhooks": "whsec_", "salesforce_cdc": "whsec_",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "before"), CHOSEN.items())
def test_what_is_ours_to_choose_is_long_enough_not_to_be_guessed(kind: Kind, before: str) -> None:
    assert short(kind, before + "x" * 16) is None
    assert short(kind, before + "x" * 15)
    assert short(kind, before + "\U0001f512" * 16) is None, "characters, not bytes"
    new = {"kind": kind, "secrets": [before + "x" * 16, before + "x" * 15]}
    assert faults(new, None) == [("/secrets/1", "invalid_secret")]


@pytest.mark.parametrize("secret", ["a:b", "a-very-long-name-of-a-user:b", "no-password-" * 4])
def test_the_name_of_a_user_is_no_secret(secret: str) -> None:
    for kind in ("pipedrive", "generic"):
        assert short(kind, secret)


def test_a_password_may_have_colons() -> None:
    assert short("pipedrive", "user:0123456789:ABCDE") is None


MADE: dict[Kind, str] = {
    "hubspot": "x", "close": "00ff", "espocrm": "x", "salesforce_outbound": ORGANIZATION,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "secret"), MADE.items())
def test_what_vendors_make_is_taken_as_they_make_it(kind: Kind, secret: str) -> None:
    assert short(kind, secret) is None
    assert set(MADE) | set(CHOSEN) == set(get_args(Kind))


def test_a_short_one_that_is_there_may_be_put_again() -> None:
    there: Definition = {"kind": "twenty", "public_url": None}
    again = {"kind": "twenty", "secrets": ["x" * 16, "old"]}
    assert faults(again, there, ["old"]) == []
    assert faults(again, there, ["other"]) == [("/secrets/1", "invalid_secret")]
    assert faults(again, there, None) == [], "stored under another key, it has to be put again"
    assert faults({"kind": "twenty", "id_prefix": "x"}, there, ["old"]) == []
