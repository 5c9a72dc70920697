"""CloudEvents in: what is taken, what is refused, and where each fault is said to be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts.cloudevents import (
    IncomingEvent,
    body_hash,
    canonical,
    from_binary,
    from_structured,
)
from libs.common.contracts.errors import ContractViolation, Violation

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "evt-981",
    "source": "/crm/acme",
    "type": "deal.stage_changed",
    "time": "2026-03-02T09:15:00+01:00",
    "subject": "D-1001",
    "sequence": "12",
    "data": {"deal_id": "D-1001", "stage_id": "proposal", "actor_id": "u-17"},
}
EXPECTED = IncomingEvent(
    id="evt-981",
    source="/crm/acme",
    type="deal.stage_changed",
    time=datetime(2026, 3, 2, 8, 15, tzinfo=UTC),
    subject="D-1001",
    sequence=12,
    data=EVENT["data"],
)
HEADERS = {f"CE-{name}": value for name, value in EVENT.items() if name != "data"}


def faults(obj: Any) -> list[tuple[str, str]]:
    with pytest.raises(ContractViolation) as refused:
        from_structured(obj)
    return [(v.code, v.pointer) for v in refused.value.violations]


def test_both_modes_give_the_same_event() -> None:
    assert from_structured(EVENT) == from_binary(HEADERS, EVENT["data"]) == EXPECTED


def test_an_event_may_come_without_id_time_subject_sequence_and_version() -> None:
    event = from_structured({"source": "s", "type": "t"})
    assert event == IncomingEvent(None, "s", "t", None, None, None, None)


def test_nulls_are_absent_and_unknown_extensions_are_dropped() -> None:
    nulls = dict.fromkeys(("id", "time", "subject", "sequence", "traceparent", "data_base64"))
    assert from_structured(EVENT | {"myextension": {"a": 1}, "dataschema": "x"}) == EXPECTED
    assert from_structured({"source": "s", "type": "t", **nulls}).id is None


def test_tracing_is_kept_and_rubbish_in_it_is_dropped() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    event = from_structured(EVENT | {"traceparent": trace, "correlationid": "c-1"})
    assert (event.traceparent, event.correlation_id) == (trace, "c-1")
    event = from_structured(EVENT | {"traceparent": "rubbish", "correlationid": 7})
    assert (event.traceparent, event.correlation_id) == (None, None)


def test_an_exported_event_keeps_its_recorded_time() -> None:
    event = from_structured(EVENT | {"recordedtime": "2026-03-02T08:15:02Z"})
    assert event.recorded_time == datetime(2026, 3, 2, 8, 15, 2, tzinfo=UTC)


@pytest.mark.parametrize("text", ["lone%ff", "%C0%A0", "%ED%A0%80", "a%80", "%F8%88%80%80%80"])
def test_percent_encoding_that_is_no_utf8_is_refused(text: str) -> None:
    """Decoded with a replacement character, two ids would be one."""
    headers = {"ce-source": "/crm", "ce-type": "t"}
    for name in ("ce-id", "ce-source", "ce-type", "ce-subject", "ce-time", "ce-sequence"):
        with pytest.raises(ContractViolation) as refused:
            from_binary(headers | {name: text}, None)
        [fault] = refused.value.violations
        assert (fault.code, fault.pointer) == ("invalid_field", f"/headers/{name}")
    assert from_binary(headers | {"ce-correlationid": text}, None).correlation_id is None


def test_binary_headers_are_percent_decoded() -> None:
    event = from_binary({"ce-source": "/crm/Z%C3%BCrich", "ce-type": "t"}, None)
    assert event.source == "/crm/Zürich"


@pytest.mark.parametrize("obj", [None, 1, "text", [], [EVENT]])
def test_only_an_object_is_an_event(obj: Any) -> None:
    assert faults(obj) == [("invalid_field", "")]


def test_all_faults_are_told_at_once() -> None:
    assert faults(
        {"id": "", "time": "yesterday", "sequence": "1.5", "data": {"a/b": ["\x00"]}}
    ) == [
        ("invalid_field", "/id"),
        ("missing_field", "/source"),
        ("missing_field", "/type"),
        ("invalid_field", "/time"),
        ("invalid_field", "/sequence"),
        ("invalid_field", "/data/a~1b/0"),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", "0.3"),
        ("specversion", 1.0),
        ("id", 5),
        ("id", ""),
        ("id", "x" * 201),
        ("id", "nul\x00"),
        ("id", "\ud800"),
        ("source", ""),
        ("source", "x" * 501),
        ("type", ["deal.won"]),
        ("type", "x" * 201),
        ("subject", ""),
        ("subject", {}),
        ("time", 1_700_000_000),
        ("time", "1700000000"),
        ("time", "2026-03-02"),
        ("time", "2026-03-02T09:15:00"),
        ("time", "2026-W10-1T09:15:00Z"),
        ("time", "2026-02-30T09:15:00Z"),
        ("time", "2026-03-02T25:15:00Z"),
        ("time", "0000-01-01T00:00:00Z"),
        ("time", "0001-01-01T00:00:00+14:00"),
        ("time", "1899-12-31T23:59:59Z"),
        ("time", "2200-01-01T00:00:00Z"),
        ("time", "9999-12-31T23:59:59-14:00"),
        ("time", "٢٠٢٦-٠٣-٠٢T09:15:00Z"),
        ("sequence", "abc"),
        ("sequence", "1.0"),
        ("sequence", 1.0),
        ("sequence", True),
        ("sequence", "1_000"),
        ("sequence", " 12"),
        ("sequence", "٣"),
        ("sequence", 2**63),
        ("sequence", str(-(2**63) - 1)),
        ("sequence", "9" * 5000),
        ("sequence", 10**400),
        ("datacontenttype", "text/xml"),
        ("datacontenttype", 1),
        ("data_base64", "e30="),
        ("recordedtime", "soon"),
    ],
)
def test_what_is_given_has_to_be_right(name: str, value: Any) -> None:
    assert faults(EVENT | {name: value}) == [("invalid_field", f"/{name}")]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("time", "2026-03-02t08:15:00z", EXPECTED.time),
        ("time", "2026-03-02T08:15:00.000000999Z", EXPECTED.time),
        ("time", "2026-03-02 08:15:00+00:00", EXPECTED.time),
        ("time", "1900-01-01T00:00:00Z", datetime(1900, 1, 1, tzinfo=UTC)),
        ("sequence", 12, 12),
        ("sequence", "-3", -3),
        ("sequence", "0012", 12),
        ("sequence", str(2**63 - 1), 2**63 - 1),
    ],
)
def test_spellings_that_mean_the_same_are_taken(name: str, value: Any, expected: Any) -> None:
    assert getattr(from_structured(EVENT | {name: value}), name) == expected


@pytest.mark.parametrize("kind", ["application/json", "application/vnd.acme+json; charset=utf-8"])
def test_json_by_any_name_is_json(kind: str) -> None:
    assert from_structured(EVENT | {"datacontenttype": kind}) == EXPECTED


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"x": float("nan")}, "/data/x"),
        ({"x": [1, float("-inf")]}, "/data/x/1"),
        ({"x": 10**400}, "/data/x"),
        ({"x": -(2**63) - 1}, "/data/x"),
        ({"x": {"y": "\udfff"}}, "/data/x/y"),
        ({"\x00": 1}, "/data"),
        ({"x": {"\ud800": 1}}, "/data/x"),
        ("\x00", "/data"),
        (nested(65), "/data" + "/a" * 64),
        (nested(5_000), "/data" + "/a" * 64),
    ],
)
def test_data_that_cannot_be_stored_is_refused_where_it_stands(data: Any, pointer: str) -> None:
    assert faults(EVENT | {"data": data}) == [("invalid_field", pointer)]


def test_depth_up_to_the_limit_and_extreme_numbers_pass() -> None:
    extremes: list[Any] = [
        nested(64),
        {"x": [2**63 - 1, -(2**63), 1.5e308, True, None, ""]},
        [],
        "text",
    ]
    for data in extremes:
        assert from_structured(EVENT | {"data": data}).data == data


def test_a_pointer_can_always_be_printed() -> None:
    with pytest.raises(ContractViolation) as refused:
        from_structured(EVENT | {"data": {"\x01": {"~/": {"é\x00": "\x00"}}}})
    assert str(refused.value).encode()
    assert refused.value.violations[0].pointer == "/data/\x01/~0~1"


def test_canonical_json_has_one_spelling() -> None:
    assert canonical({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'.encode()
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})


def test_the_hash_tells_bodies_apart_and_not_spellings() -> None:
    time, data = EXPECTED.time, canonical(EVENT["data"])
    assert time is not None
    one = body_hash("deal.won", time, 1, data)
    assert one == body_hash("deal.won", time.astimezone(), 1, data)
    others = [
        body_hash("deal.lost", time, 1, data),
        body_hash("deal.won", time + timedelta(microseconds=1), 1, data),
        body_hash("deal.won", None, 1, data),
        body_hash("deal.won", time, None, data),
        body_hash("deal.won", time, 1, b"{}"),
    ]
    assert len({one, *others}) == 6


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*EVENT, "datacontenttype", "data_base64", "x"]), anything))
def test_whatever_comes_gives_an_event_or_violations(obj: dict[str, Any]) -> None:
    event, faults = outcome(obj)
    assert all(v.code in {"missing_field", "invalid_field"} for v in faults)
    if event is not None:
        assert canonical(event.data).decode()
        assert event.time is None or event.time.tzinfo is UTC


def outcome(obj: Any) -> tuple[IncomingEvent | None, tuple[Violation, ...]]:
    try:
        return from_structured(obj), ()
    except ContractViolation as refused:
        assert_told(refused)
        return None, refused.violations


def assert_told(refused: ContractViolation) -> None:
    assert refused.violations, "a refusal says why"
