"""What connectors share: signed times, secrets in rotation, spellings, drafts."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.ingest.domain.crm import fields, signing, times
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.model import Connection, Delivery, Refused

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize("away", [-300, 0, 300])
def test_a_signed_time_within_the_tolerance_passes(away: int) -> None:
    signing.fresh(str(int(NOW.timestamp()) + away), times.SECOND, NOW)


@pytest.mark.parametrize(
    ("signed", "code"),
    [
        (str(int(NOW.timestamp()) - 301), "stale"),
        (str(int(NOW.timestamp()) + 301), "stale"),
        ("", "timestamp_invalid"),
        ("1.5", "timestamp_invalid"),
        ("-5", "timestamp_invalid"),
        ("٣", "timestamp_invalid"),
        ("9" * 15, "timestamp_invalid"),
        ("9" * 400, "timestamp_invalid"),
    ],
)
def test_any_other_is_refused(signed: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        signing.fresh(signed, times.SECOND, NOW)
    assert refused.value.code == code


def basic(text: str, scheme: str = "Basic") -> Delivery:
    return Delivery(b"", {"authorization": f"{scheme} {base64.b64encode(text.encode()).decode()}"})


def test_both_secrets_prove_a_delivery_while_they_rotate() -> None:
    connection = Connection("c", secrets=("new:one", "old:one"))
    assert signing.basic_auth(basic("new:one"), connection, NOW) == 0
    assert signing.basic_auth(basic("old:one", "basic"), connection, NOW) == 1


@pytest.mark.parametrize(
    ("delivery", "code"),
    [
        (Delivery(b"", {}), "signature_missing"),
        (basic("new:one", "Bearer"), "signature_missing"),
        (basic("new:on"), "signature_invalid"),
        (basic("new:one "), "signature_invalid"),
        (Delivery(b"", {"authorization": "Basic ***"}), "signature_invalid"),
        (Delivery(b"", {"authorization": "Basic /////w=="}), "signature_invalid"),
    ],
)
def test_wrong_credentials_are_refused(delivery: Delivery, code: str) -> None:
    with pytest.raises(Refused) as refused:
        signing.basic_auth(delivery, Connection("c", secrets=("new:one", "")), NOW)
    assert refused.value.code == code


def test_an_empty_secret_proves_nothing() -> None:
    with pytest.raises(Refused):
        signing.basic_auth(basic(""), Connection("c", secrets=("",)), NOW)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-02T09:00:00.5Z", NOW + timedelta(seconds=0.5)),
        ("2026-03-02T10:00:00+01:00", NOW),
        ("2026-03-02 09:00:00", NOW),
        ("2026-03-02T09:00:00.000000", NOW),
        ("2026-03-02", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("never", None),
        (5, None),
        (None, None),
    ],
)
def test_instants_as_text(text: object, at: datetime | None) -> None:
    assert times.iso(text) == at


def test_instants_as_counts() -> None:
    assert times.epoch(1_772_442_000_000, times.MS) == NOW
    assert times.epoch("1772442000", times.SECOND) == NOW
    assert times.epoch(1_772_442_000.0, times.SECOND) == NOW
    for value in (True, None, 1.5, float("inf"), "x", 10**30, -(10**14)):
        assert times.epoch(value, times.MS) is None, value


TABLE = {"title": "name", "value": "amount", "stage": "stage_id", "close": "expected_close_date"}
MAPPED = Connection(
    "c", stage_map={"7": "offer"}, field_map={"seats": "attributes.seats", "title": "industry"}
)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"value": 100}, {"amount": "100"}),
        ({"value": 0.1}, {"amount": "0.1"}),
        ({"value": 1e21}, {"amount": "1000000000000000000000"}),
        ({"value": "12.50"}, {"amount": "12.50"}),
        ({"value": "1.5E3"}, {"amount": "1500"}),
        ({"value": "1e999"}, {"amount": "1e999"}),
        ({"value": ""}, {"amount": None}),
        ({"stage": 7}, {"stage_id": "offer"}),
        ({"stage": "8"}, {"stage_id": "8"}),
        ({"stage": 7.0}, {"stage_id": "offer"}),
        ({"stage": ["7"]}, {"stage_id": ["7"]}),
        ({"stage": None}, {}),
        ({"close": "1772442000000"}, {"expected_close_date": "2026-03-02"}),
        ({"close": "2026-03-02T09:00:00Z"}, {"expected_close_date": "2026-03-02"}),
        ({"seats": [1]}, {"attributes.seats": [1]}),
        ({"title": "x"}, {"industry": "x"}),
        ({"whatever": 1}, {}),
    ],
)
def test_fields_take_our_names_and_spellings(
    record: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert fields.changes(record, TABLE, MAPPED) == expected


def test_a_change_of_place_is_an_event_of_its_own() -> None:
    draft = Draft(MAPPED, "e", NOW, actor="u")
    moved, updated = draft.changed(
        "d", {"stage_id": "b", "pipeline_id": "p", "amount": "5"}, {"stage_id": "a", "amount": "4"}
    )
    assert (moved.type, moved.id, moved.time) == ("deal.stage_changed", "e/stage", NOW)
    assert moved.data == {
        "deal_id": "d", "actor_id": "u", "stage_id": "b", "pipeline_id": "p", "from_stage_id": "a",
    }  # fmt: skip
    assert (updated.type, updated.id) == ("deal.updated", "e")
    assert updated.data == {
        "deal_id": "d", "actor_id": "u", "changes": {"amount": "5"}, "previous": {"amount": "4"},
    }  # fmt: skip
    assert draft.changed("d", {}) == []


def test_a_whole_record_creates_without_what_is_empty() -> None:
    made = Draft(MAPPED, None, None).created("d", {"amount": None, "attributes.seats": 3})
    assert (made.id, made.time) == (None, None)
    assert made.data == {"deal_id": "d", "attributes": {"seats": 3}}


@pytest.mark.parametrize(
    ("given", "money"),
    [
        (33.333333333333336, "33.333333"),
        (1234.5600000000002, "1234.56"),
        ("333.3333333333", "333.333333"),
        ("0.0000005", "0"),
        ("0.0000015", "0.000002"),
        (1e-7, "0"),
        ("1.5e-7", "0"),
        (3.0000001e3, "3000.0001"),
        (100, "100"),
        ("12.50", "12.50"),
        ("-333.3333333333", "-333.333333"),
        ("9" * 30 + "." + "5" * 8, "9" * 30 + ".555556"),
    ],
)
def test_money_has_at_most_six_decimal_places(given: Any, money: str) -> None:
    assert fields.amount(given) == money
