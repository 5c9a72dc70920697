"""Recorded deliveries: they mean the same to their connector, and tell nothing of people."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.connections import Live
from services.ingest.domain.crm.model import Connection, Delivery, Kind, Translation, Unreadable
from services.ingest.domain.crm.registry import CONNECTORS
from services.ingest.domain.pseudonyms import Pseudonyms, tenant_key
from services.ingest.domain.recording import Recorded, Taken, recorded
from services.ingest.domain.redaction import Redaction
from tests.real.data import file
from tests.unit.ingest.crm import (
    test_close,
    test_espocrm,
    test_generic,
    test_hubspot,
    test_pipedrive,
    test_salesforce_cdc,
    test_salesforce_outbound,
    test_standard_webhooks,
    test_twenty,
    test_zoho,
)
from tests.unit.ingest.crm.checks import NOW, places, with_value

KEY = tenant_key(b"k" * 32, "acme")
PLAIN = Connection("c", secrets=("s3cret-of-the-hook",), id_prefix="x-")
HUBSPOT_LIFE = [
    test_hubspot.changed("dealname", "Nine presses"),
    test_hubspot.changed("hs_is_closed_won", "true"),
    test_hubspot.changed("amount", "1500.50"),
    test_hubspot.changed("closedate", "1782777600000"),
    test_hubspot.changed("phone", "4915123456789"),
    test_hubspot.changed("contact_email", "zelda@quaternion.example"),
    test_hubspot.changed("hubspot_owner_id", "62515777", sourceId="userId:10202051"),
]
ESPO = [test_espocrm.RECORD, test_espocrm.change(stage="Closed Won", name="Nine presses")]
JSON_SAMPLES: list[tuple[Kind, Any]] = [
    *(("hubspot", [one]) for one in [*test_hubspot.SAMPLES, *test_hubspot.LIFE, *HUBSPOT_LIFE]),
    *(("pipedrive", one) for one in [*test_pipedrive.SAMPLES, *test_pipedrive.LIFE]),
    *(("pipedrive", one) for one in test_pipedrive.OLD_LIFE),
    *(("close", one) for one in [*test_close.SAMPLES, *test_close.LIFE]),
    ("zoho", test_zoho.valued("insert", test_zoho.VALUES)),
    ("zoho", test_zoho.valued("update", {"Stage": "Closed Won"})),
    ("zoho", test_zoho.body("delete", "3652397000000624001", "8")),
    ("salesforce_cdc", test_salesforce_cdc.change(test_salesforce_cdc.WHOLE)),
    ("salesforce_cdc", test_salesforce_cdc.change({"StageName": "Closed Won"},
                                                  changedFields=["StageName", "Amount"])),
    ("salesforce_cdc", test_salesforce_cdc.change(kind="GAP_UPDATE", recordIds=["006*"])),
    ("twenty", test_twenty.body("opportunity.created")),
    ("twenty", test_twenty.updated({"stage": "PROPOSAL"}, "stage", "name")),
    ("espocrm", ESPO),
    ("standard_webhooks", test_standard_webhooks.SAMPLE),
    ("generic", {"delivery": "d1", "data": {"items": [test_generic.ROW]}}),
]  # fmt: skip
OUTBOUND = test_salesforce_outbound.message(
    test_salesforce_outbound.note(**test_salesforce_outbound.RECORD),
    test_salesforce_outbound.state(StageName="Closed Won", Phone="+49 151 23456789"),
)
SAMPLES: list[tuple[Kind, bytes]] = [
    *((kind, json.dumps(body).encode()) for kind, body in JSON_SAMPLES),
    ("salesforce_outbound", OUTBOUND),
]
FREE = (
    "Nine presses", "presses", "Pumps", "Fair", "zelda", "quaternion", "4915123456789", "23456789",
    "hidden", "example.org", "x.example", "zohoapis",
)  # fmt: skip
CONTENT_IDS = ("hubspot", "espocrm", "salesforce_outbound", "zoho")
"""Kinds that name an occurrence by what it says, so that another text has another id."""


def live(kind: Kind, connection: Connection = PLAIN) -> Live:
    mapping = test_generic.BY if kind == "generic" else None
    return Live("acme", "c", kind, replace(connection, mapping=mapping))


def delivered(kind: Kind, body: bytes) -> Delivery:
    headers = {"webhook-id": "evt-1", "authorization": "Basic czNjcmV0", "x-event": "moved"}
    query = {"event": "Opportunity.update"} if kind == "espocrm" else {}
    return Delivery(body, headers, query)


def told(kind: Kind, body: bytes) -> Translation:
    of = live(kind)
    return CONNECTORS[kind].translate(delivered(kind, body), of.connection)


def kept(kind: Kind, body: bytes) -> Recorded:
    translation = told(kind, body)
    statuses = ["accepted"] * len(translation.events)
    return recorded(Taken(live(kind), delivered(kind, body), NOW, translation, statuses), KEY)


def everything(one: Recorded) -> str:
    return json.dumps([one.body, one.events, dict(one.headers)], ensure_ascii=False)


def facts(kind: Kind, translation: Translation) -> Any:
    """What must be the same: types, times, ids, places."""
    events = [
        (one.type, one.time, None if kind in CONTENT_IDS else one.id, _ids(one.data))
        for one in translation.events
    ]
    return events, translation.refreshes, [puzzle.code for puzzle in translation.puzzles]


def _ids(data: Any) -> Any:
    inner = {name: _ids(data[name]) for name in ("changes", "previous") if data.get(name)}
    return {name: one for name, one in data.items() if name.endswith(("_id", "_ids"))} | inner


@pytest.mark.parametrize(("kind", "body"), SAMPLES)
def test_a_redacted_delivery_means_the_same(kind: Kind, body: bytes) -> None:
    found = kept(kind, body)
    assert found.body is not None
    assert facts(kind, told(kind, found.body.encode())) == facts(kind, told(kind, body))
    made = [(one["type"], one["data"].get("deal_id")) for one in json.loads(found.events)]
    events = told(kind, body).events
    assert made == [(one.type, one.data.get("deal_id")) for one in events]


@pytest.mark.parametrize(("kind", "body"), SAMPLES)
def test_it_tells_none_of_its_free_texts(kind: Kind, body: bytes) -> None:
    shown = everything(kept(kind, body))
    assert [text for text in FREE if text.lower() in shown.lower()] == []
    assert kept(kind, body) == kept(kind, body), "equal texts stay equal"


PUBLIC: list[tuple[Kind, str]] = [
    ("hubspot", "hubspot/contact-creation.body.json"),
    *(
        ("pipedrive", f"pipedrive-v2/{what}-{action}.json")
        for what in ("deal", "activity")
        for action in ("create", "change", "delete")
    ),
    ("close", "close/opportunity-won.json"),
    ("salesforce_cdc", "salesforce/opportunity-cdc-event.json"),
    ("twenty", "twenty/person-created.json"),
]


@pytest.mark.parametrize(("kind", "name"), PUBLIC)
def test_published_samples(kind: Kind, name: str) -> None:
    body = file(f"webhooks/{name}").read_bytes()
    found = kept(kind, body)
    assert found.body is not None
    assert facts(kind, told(kind, found.body.encode())) == facts(kind, told(kind, body))
    spoken = {text for text in texts(json.loads(body)) if " " in text.strip() or "@" in text}
    times = {text for text in spoken if text[:4].isdigit()}
    stages = {str(place) for one in told(kind, body).events for place in _ids(one.data).values()}
    shown = everything(found)
    assert [text for text in spoken - times - stages if text in shown] == []


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from texts(one)
    elif isinstance(value, str):
        yield value


CANARIES = [
    "Zelda Quaternion", "zelda@quaternion.example", "Zelda Quaternion <z@q.example>",
    "+49 151 2345 6789", "0151-23456789", "(0151) 2345/6789", "Zelda called: urgent!", "Zeldä",
    "https://x.example/zelda-quaternion", "Quaternion, Zelda",
]  # fmt: skip
PLACED = [
    (kind, path, body) for kind, body in JSON_SAMPLES for path in places(body)
]  # fmt: skip


def test_no_prefix_and_no_type_of_ours_lets_a_telephone_number_through() -> None:
    """As `x-<number>` for a deal, `hubspot.<number>.` for what we do not know."""
    for placed in PLACED:
        test_no_field_lets_a_person_through.hypothesis.inner_test(  # type: ignore[attr-defined]
            placed, "0151-23456789"
        )


@given(st.sampled_from(PLACED), st.sampled_from(CANARIES))
def test_no_field_lets_a_person_through(placed: Any, canary: str) -> None:
    """Wherever it stands, unless it is the stage or pipeline of a deal."""
    kind, path, sample = placed
    body = json.dumps(with_value(sample, path, canary)).encode()
    try:
        translation = told(kind, body)
    except Unreadable:
        return
    place_ids = [
        place
        for one in translation.events
        for data in (one.data, one.data.get("changes") if isinstance(one.data, dict) else None)
        if isinstance(data, dict)
        for name, place in data.items()
        if name.endswith(("stage_id", "pipeline_id"))
    ]
    if canary not in place_ids:
        shown = everything(kept(kind, body))
        assert canary not in shown
        assert json.dumps(canary)[1:-1] not in shown


@given(st.sampled_from(PLACED), st.sampled_from(["phone", "mobile_no", "workPhone", "Fax"]))
def test_numbers_that_are_dialled_are_others(placed: Any, name: str) -> None:
    _, _, sample = placed
    body = sample if isinstance(sample, dict) else {"all": sample}
    marked = json.dumps({**body, name: 4915123456789, f"{name}s": ["4915123456789"]}).encode()
    redaction = Redaction(Pseudonyms(KEY), frozenset())
    assert "4915123456789" not in json.dumps(redaction.of(json.loads(marked)))


def test_secrets_are_shown_nowhere() -> None:
    secret = PLAIN.secrets[0]
    body = {
        "type": "acme.note", "data": {"x": f"it is {secret}", "session_id": "abc1", secret: 1},
        "api_key": {"inner": "k1"}, "token": 7,
    }  # fmt: skip
    found = kept("standard_webhooks", json.dumps(body).encode())
    shown = everything(found)
    assert secret not in shown
    assert "czNjcmV0" not in shown
    assert json.loads(found.body or "")["api_key"] == {"inner": "***"}
    assert json.loads(found.body or "")["token"] == "***"
    assert "hidden!session" not in everything(kept("salesforce_outbound", OUTBOUND))


def test_pseudonyms_are_the_tenants_own_and_of_their_class() -> None:
    mine, other = Pseudonyms(KEY), Pseudonyms(tenant_key(b"k" * 32, "other"))
    for text in ("Zelda", "Zelda Quaternion", "z@q.example", "https://q.example", "0151 234-567"):
        made = mine.text(text)
        assert made == mine.text(text)
        assert made not in (text, other.text(text))
        assert ("@" in made, "://" in made, " " in made.strip()) == (
            "@" in text,
            "://" in text,
            " " in text,
        )
    dialled = mine.text("+49 (0)151 2345-6789")
    assert [char for char in dialled if not char.isdigit()] == list("+ () -")
    assert mine.text("") == ""
    assert len(str(mine.number(-1234567))) == 8


def test_what_cannot_be_read_is_kept_without_its_body() -> None:
    taken = Taken(live("close"), delivered("close", b"Zelda"), NOW, None)
    found = recorded(taken, KEY)
    assert (found.verdict, found.body, found.events) == ("unreadable", None, "[]")


def test_what_is_too_large_or_too_deep_is_kept_without_its_body() -> None:
    deep = b'{"data":' * 3_000 + b"1" + b"}" * 3_000
    for body in (json.dumps({"data": ["7"] * 20_000}).encode(), deep):
        taken = Taken(live("close"), delivered("close", body), NOW, Translation())
        assert recorded(taken, KEY).body is None


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        (["duplicate", "accepted"], "accepted"),
        (["duplicate"], "duplicate"),
        (["rejected", "duplicate"], "rejected"),
        ([], "accepted"),
    ],
)
def test_the_verdict(statuses: list[str], verdict: str) -> None:
    taken = Taken(live("close"), delivered("close", b"{}"), NOW, Translation(), statuses)
    assert taken.verdict == verdict
