"""The catalogue against hostile data: limits, and pointers that name the field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts.catalogue import CATALOGUE, log_key, parse, subject_of
from libs.common.contracts.errors import ContractViolation
from libs.common.contracts.events import DealUpdated


def faults(event_type: str, data: Any, *, strict: bool = True) -> list[tuple[str, str]]:
    with pytest.raises(ContractViolation) as refused:
        parse(event_type, data, strict=strict)
    return [(v.code, v.pointer) for v in refused.value.violations]


def created(**fields: Any) -> dict[str, Any]:
    return {"deal_id": "d", **fields}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("deal_id", ""),
        ("deal_id", 5),
        ("deal_id", "x" * 201),
        ("name", "x" * 2001),
        ("name", "\x00"),
        ("amount", "-0.01"),
        ("amount", "1" + "0" * 15),
        ("amount", "0.1234567"),
        ("amount", "1e3"),
        ("amount", "1_000"),
        ("amount", "NaN"),
        ("amount", "Infinity"),
        ("amount", "٣"),
        ("amount", ""),
        ("amount", " 5 "),
        ("amount", "5\n"),
        ("amount", "\u00a05"),
        ("amount", 12.5),
        ("amount", True),
        ("amount", 10**400),
        ("amount", "9" * 100_000),
        ("currency", "EURO"),
        ("currency", "eur"),
        ("currency", "XXX"),
        ("customer_type", "old"),
        ("expected_close_date", "2026-02-30"),
        ("expected_close_date", "2026-06-30T00:00:00Z"),
        ("expected_close_date", "0000-01-01"),
        ("expected_close_date", "9999-12-31"),
        ("expected_close_date", 1_700_000_000),
        ("attributes", []),
    ],
)
def test_a_field_out_of_its_limits_is_named(field: str, value: Any) -> None:
    data = created() | {field: value}
    assert faults("deal.created", data) == [("invalid_field", f"/data/{field}")]
    assert faults("deal.created", data, strict=False) == [("invalid_field", f"/data/{field}")]


@pytest.mark.parametrize("value", ["0", "12000.00", "999999999999999.999999", 7])
def test_money_within_its_limits_passes(value: Any) -> None:
    assert parse("deal.created", created(amount=value), strict=True) is not None


@pytest.mark.parametrize(
    ("event_type", "data", "field", "values"),
    [
        ("activity.logged", {"activity_id": "x", "deal_id": "d"}, "automated",
         ("yes", "true", 0, 1, 1.0)),
        ("user.upserted", {"user_id": "u"}, "active", ("no", "off", "f", 0)),
        ("team.upserted", {"team_id": "t"}, "active", ("on", 1)),
        ("survey.answered", {"account_id": "a", "kind": "nps"}, "score", ("9", "9.5", True)),
    ],
)  # fmt: skip
def test_writers_send_booleans_and_numbers_as_such(
    event_type: str, data: Any, field: str, values: tuple[Any, ...]
) -> None:
    for value in values:
        assert faults(event_type, data | {field: value}) == [("invalid_field", f"/data/{field}")]
    if field != "score":
        old = parse(event_type, data | {field: values[0]}, strict=False)
        assert isinstance(getattr(old, field), bool), "what was kept before stays readable"
    good = {"automated": True, "active": False, "score": 9.5}[field]
    assert str(getattr(parse(event_type, data | {field: good}, strict=True), field)) == str(good)


def test_an_attribute_has_a_name() -> None:
    data = created(attributes={"": 1})
    assert faults("deal.created", data) == [("invalid_field", "/data/attributes/")]
    assert parse("deal.created", data, strict=False) is not None


def test_faults_inside_attributes_have_their_own_pointer() -> None:
    data = created(attributes={"a": [0, {"b": float("nan")}]})
    assert faults("deal.created", data) == [("invalid_field", "/data/attributes/a/1/b")]


def test_every_fault_of_changes_names_its_field() -> None:
    changes = {"amount": "-1", "expected_close_date": "soon", "currency": "eur", "attributes.x": 1}
    assert sorted(faults("deal.updated", created(changes=changes))) == [
        ("invalid_field", "/data/changes/amount"),
        ("invalid_field", "/data/changes/currency"),
        ("invalid_field", "/data/changes/expected_close_date"),
    ]


def test_changes_name_fields_of_a_deal_and_keep_stage_and_pipeline() -> None:
    changes = {"deal_id": "e", "nope/1": 1, "stage_id": None, "pipeline_id": None, "attributes.": 1}
    for strict in (True, False):
        assert sorted(faults("deal.updated", created(changes=changes), strict=strict)) == [
            ("invalid_field", "/data/changes/attributes."),
            ("invalid_field", "/data/changes/pipeline_id"),
            ("invalid_field", "/data/changes/stage_id"),
            ("unknown_field", "/data/changes/deal_id"),
            ("unknown_field", "/data/changes/nope~11"),
        ]


def test_null_clears_and_types_are_applied() -> None:
    event = parse(
        "deal.updated",
        created(changes={"owner_id": None, "amount": "1.50", "attributes.x": None}),
        strict=True,
    )
    assert isinstance(event, DealUpdated)
    typed = event.typed_changes()
    assert (typed["owner_id"], str(typed["amount"]), typed["attributes.x"]) == (None, "1.50", None)


@pytest.mark.parametrize(
    ("event_type", "data", "pointer"),
    [
        ("deal.created", created(attributes={"x": "é" * 33_000}), "/data/attributes"),
        ("deal.updated", created(changes={"attributes.x": "x" * 65_536}), "/data/changes"),
    ],
)
def test_oversized_attributes_are_refused_from_writers_only(
    event_type: str, data: Any, pointer: str
) -> None:
    assert faults(event_type, data) == [("attributes_too_large", pointer)]
    assert parse(event_type, data, strict=False) is not None


def test_unknown_fields_are_refused_from_writers_and_ignored_by_readers() -> None:
    data = created(own_field=1)
    assert faults("deal.created", data) == [("unknown_field", "/data/own_field")]
    assert parse("deal.created", data, strict=False) == parse(
        "deal.created", created(), strict=True
    )


def test_an_unknown_type_has_no_model() -> None:
    assert parse("deal.sang", {"anything": 1}, strict=True) is None


@pytest.mark.parametrize("event_type", sorted(CATALOGUE))
@pytest.mark.parametrize(
    "data", [None, [], "x", 3, b"", b"{", b"nul\x00", b"\xff", b"NaN", b"[[[", b'"{}"']
)
def test_what_is_no_object_is_refused(event_type: str, data: Any) -> None:
    assert faults(event_type, data) == [("invalid_field", "/data")]


def test_a_text_is_a_json_string_whatever_it_says() -> None:
    """Only bytes are raw JSON: read otherwise, what one side takes the other cannot."""
    assert faults("deal.won", '{"deal_id":"d"}') == [("invalid_field", "/data")]
    assert faults("deal.won", b'"{\\"deal_id\\":\\"d\\"}"') == [("invalid_field", "/data")]
    assert parse("deal.won", b'{"deal_id":"d"}', strict=True) is not None


def test_deep_nesting_is_refused_from_bytes_too() -> None:
    deep = b'{"deal_id":"d","attributes":' + b'{"a":' * 150 + b"1" + b"}" * 151
    assert faults("deal.created", deep)[0][0] == "invalid_field"
    assert faults("deal.created", b"[" * 100_000)[0][0] == "invalid_field"


def test_an_activity_belongs_to_something() -> None:
    assert faults("activity.logged", {"activity_id": "a"}) == [("invalid_field", "/data")]


@pytest.mark.parametrize(
    ("event_type", "data", "subject"),
    [
        ("deal.won", {"deal_id": "d"}, ("deal", "d")),
        (
            "activity.logged",
            {"activity_id": "x", "deal_id": "d", "lead_id": "l"},
            ("deal", "d"),
        ),
        (
            "activity.logged",
            {"activity_id": "x", "lead_id": "l", "account_id": "a"},
            ("lead", "l"),
        ),
        ("activity.logged", {"activity_id": "x", "account_id": "a"}, ("account", "a")),
        ("order.placed", {"account_id": "a", "order_id": "o", "amount": "1", "currency": "EUR"},
         ("account", "a")),
        ("user.upserted", {"user_id": "u", "team_id": "t"}, ("user", "u")),
        ("team.upserted", {"team_id": "t"}, ("team", "t")),
        ("cost.recorded", {"amount": "1", "currency": "EUR"}, ("event", "evt-1")),
        ("deal.sang", {"deal_id": "d"}, ("event", "evt-1")),
    ],
)  # fmt: skip
def test_the_subject_keys_the_log(event_type: str, data: Any, subject: tuple[str, str]) -> None:
    parsed = parse(event_type, data, strict=True)
    assert subject_of(event_type, "evt-1", parsed) == subject
    assert log_key("t", subject[1]) == f"t:{subject[1]}".encode()


@given(
    st.sampled_from(sorted(CATALOGUE)),
    st.dictionaries(
        st.sampled_from(["deal_id", "amount", "changes", "kind", "score", "attributes", "count"]),
        st.none() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)
        | st.dictionaries(st.text(), st.integers() | st.text() | st.none(), max_size=3),
    ),
)  # fmt: skip
def test_whatever_comes_gives_a_model_or_violations(event_type: str, data: dict[str, Any]) -> None:
    try:
        parsed = parse(event_type, data, strict=True)
    except ContractViolation as refused:
        pointers = [v.pointer for v in refused.violations]
    else:
        pointers = ["/data"] if parsed is not None else []
    assert pointers
    assert all(pointer.startswith("/data") for pointer in pointers)
