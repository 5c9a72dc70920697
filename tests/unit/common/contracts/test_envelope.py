"""The envelope there and back, and records that were never one of ours."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts.envelope import (
    Envelope,
    Origin,
    TimeQuality,
    from_headers,
    to_headers,
)
from libs.common.contracts.errors import ContractViolation

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40
)
instants = st.datetimes(datetime(1900, 1, 2), datetime(2199, 12, 30)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)
envelopes = st.builds(
    Envelope,
    tenant_id=texts,
    source=texts,
    id=texts,
    type=texts,
    occurred_at=instants,
    recorded_at=instants,
    data=st.binary(),
    sequence=st.none() | st.integers(-(2**63), 2**63 - 1),
    subject=st.none() | texts,
    origin=st.sampled_from(get_args(Origin)),
    time_quality=st.sampled_from(get_args(TimeQuality)),
    correlation_id=st.none() | texts,
    causation_id=st.none() | texts,
    traceparent=st.none() | texts,
)
GOOD = Envelope(
    tenant_id="t",
    source="/s",
    id="e",
    type="deal.won",
    occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    recorded_at=datetime(2026, 1, 2, tzinfo=UTC),
    data=b"{}",
)


@given(envelopes)
def test_an_envelope_survives_its_headers(envelope: Envelope) -> None:
    headers = to_headers(envelope)
    assert from_headers(headers, envelope.data) == envelope
    assert to_headers(from_headers(headers, envelope.data)) == headers


def test_instants_are_utc_whatever_offset_a_header_has() -> None:
    east = GOOD.occurred_at.astimezone(timezone(timedelta(hours=8)))
    headers = dict(to_headers(GOOD)) | {"ce_time": east.isoformat().encode()}
    assert from_headers(headers.items(), b"{}").occurred_at.tzinfo is UTC


def test_unknown_headers_are_ignored() -> None:
    assert from_headers([*to_headers(GOOD), ("x-more", b"1")], b"{}") == GOOD


@pytest.mark.parametrize(
    ("header", "content", "pointer"),
    [
        ("ce_tenantid", None, "/headers/ce_tenantid"),
        ("ce_tenantid", b"", "/headers/ce_tenantid"),
        ("ce_id", None, "/headers/ce_id"),
        ("ce_id", b"nul\x00", "/headers"),
        ("ce_source", b"\xff\xfe", "/headers"),
        ("ce_time", b"yesterday", "/headers/ce_time"),
        ("ce_time", b"2026-01-01T00:00:00", "/headers/ce_time"),
        ("ce_time", b"0001-01-01T00:00:00+14:00", "/headers/ce_time"),
        ("ce_recordedtime", b"9999-12-31T23:59:59Z", "/headers/ce_recordedtime"),
        ("ce_recordedtime", None, "/headers/ce_recordedtime"),
        ("ce_sequence", b"1_0", "/headers/ce_sequence"),
        ("ce_sequence", b"9" * 5_000, "/headers/ce_sequence"),
        ("ce_sequence", str(2**63).encode(), "/headers/ce_sequence"),
        ("ce_origin", b"guess", "/headers/ce_origin"),
    ],
)
def test_rubbish_is_undecodable_and_says_where(
    header: str, content: bytes | None, pointer: str
) -> None:
    headers = dict(to_headers(GOOD))
    headers.pop(header, None)
    if content is not None:
        headers[header] = content
    with pytest.raises(ContractViolation) as refused:
        from_headers(headers.items(), b"{}")
    assert [(v.code, v.pointer) for v in refused.value.violations] == [("undecodable", pointer)]


def test_a_tombstone_is_no_event() -> None:
    with pytest.raises(ContractViolation, match="no value"):
        from_headers(to_headers(GOOD), None)


@given(st.lists(st.tuples(st.text(), st.binary())), st.none() | st.binary())
def test_whatever_a_log_holds_gives_violations(headers: Any, value: bytes | None) -> None:
    with pytest.raises(ContractViolation) as refused:
        from_headers(headers, value)
    assert refused.value.code == "undecodable"
