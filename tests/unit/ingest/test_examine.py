"""Verdicts, keys and times of single events, as tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.ingest.domain.examine import examine_binary, examine_structured
from services.ingest.domain.model import Candidate, Receipt, Rejection

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LIVE = Receipt("acme", NOW)


def event(**changes: Any) -> dict[str, Any]:
    whole = {
        "specversion": "1.0",
        "id": "evt-1",
        "source": "/crm",
        "type": "deal.stage_changed",
        "time": "2026-03-02T09:15:00+01:00",
        "data": {"deal_id": "D-1", "stage_id": "proposal"},
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def accepted(obj: Any, receipt: Receipt = LIVE) -> Candidate:
    result = examine_structured(obj, receipt)
    assert isinstance(result, Candidate), result
    return result


def rejected(obj: Any) -> Rejection:
    result = examine_structured(obj, LIVE)
    assert isinstance(result, Rejection), result
    return result


KEYS = [
    ("deal.created", {"deal_id": "D-1"}, "acme:D-1"),
    ("activity.logged", {"activity_id": "A", "deal_id": "D-1", "lead_id": "L"}, "acme:D-1"),
    ("activity.logged", {"activity_id": "A", "lead_id": "L", "account_id": "C"}, "acme:L"),
    ("activity.logged", {"activity_id": "A", "account_id": "C"}, "acme:C"),
    ("lead.created", {"lead_id": "L"}, "acme:L"),
    ("account.upserted", {"account_id": "C"}, "acme:C"),
    ("user.upserted", {"user_id": "U"}, "acme:U"),
    ("team.upserted", {"team_id": "T"}, "acme:T"),
    ("cost.recorded", {"amount": "1.00", "currency": "EUR"}, "acme:evt-1"),
    ("weather.changed", {"deal_id": "D-1"}, "acme:evt-1"),
]


@pytest.mark.parametrize(("kind", "data", "key"), KEYS)
def test_the_log_key_follows_the_subject(kind: str, data: dict[str, Any], key: str) -> None:
    assert accepted(event(type=kind, data=data)).log_key == key.encode()


REFUSED = [
    ({"source": None}, "missing_field", "/source"),
    ({"type": None}, "missing_field", "/type"),
    ({"specversion": "0.3"}, "invalid_field", "/specversion"),
    ({"time": "yesterday"}, "invalid_field", "/time"),
    ({"time": "0001-01-01T00:00:00Z"}, "invalid_field", "/time"),
    ({"sequence": "12a"}, "invalid_field", "/sequence"),
    ({"sequence": 1.5}, "invalid_field", "/sequence"),
    ({"id": "x" * 201}, "invalid_field", "/id"),
    ({"id": "a\x00b"}, "invalid_field", "/id"),
    ({"data": {"deal_id": "D-1"}}, "missing_field", "/data/stage_id"),
    ({"data": {"deal_id": "D", "stage_id": "s", "mood": 1}}, "unknown_field", "/data/mood"),
    ({"data": {"deal_id": "D\x00", "stage_id": "s"}}, "invalid_field", "/data/deal_id"),
    ({"data": {"deal_id": "D\ud800", "stage_id": "s"}}, "invalid_field", "/data/deal_id"),
    ({"data": [1]}, "invalid_field", "/data"),
    ({"type": "x", "data": {"a": float("nan")}}, "invalid_field", "/data/a"),
    ({"type": "x", "data": {"a": 10**40}}, "invalid_field", "/data/a"),
    ({"type": "x", "data": "y" * 262_144}, "too_large", ""),
]


@pytest.mark.parametrize(("changes", "code", "pointer"), REFUSED)
def test_what_does_not_fit_is_rejected_with_its_place(
    changes: dict[str, Any], code: str, pointer: str
) -> None:
    violation = rejected(event(**changes)).violations[0]
    assert (violation.code, violation.pointer) == (code, pointer)


def test_attributes_are_bounded_in_all() -> None:
    data = {"deal_id": "D", "attributes": {"note": "x" * 65_536}}
    assert rejected(event(type="deal.created", data=data)).code == "attributes_too_large"


@pytest.mark.parametrize("thing", [None, 1, "event", [], [[]]])
def test_what_is_no_object_is_rejected_without_an_id(thing: Any) -> None:
    assert rejected(thing).event_id is None


def test_a_rejection_names_the_id_that_was_sent() -> None:
    assert rejected(event(id="evt-7", source=None)).event_id == "evt-7"
    assert rejected(event(id="evt\n7", source=None)).event_id is None


def test_an_unknown_type_is_accepted_and_flagged() -> None:
    assert accepted(event(type="weather.changed", data={"sky": "grey"})).code == "unknown_type"


@pytest.mark.parametrize(
    ("hours", "code"), [(23, None), (24, None), (25, "future"), (87_600, "future")]
)
def test_more_than_a_day_ahead_is_flagged(hours: int, code: str | None) -> None:
    time = (NOW + timedelta(hours=hours)).isoformat()
    assert accepted(event(time=time)).code == code


def test_a_missing_time_is_the_receipt_time_and_no_part_of_the_hash() -> None:
    first = accepted(event(time=None))
    later = accepted(event(time=None), Receipt("acme", NOW + timedelta(minutes=5)))
    assert (first.envelope.occurred_at, first.envelope.time_quality) == (NOW, "assumed")
    assert later.envelope.occurred_at != first.envelope.occurred_at
    assert later.body_hash == first.body_hash
    assert accepted(event(time=NOW.isoformat())).body_hash != first.body_hash


def test_an_exported_event_whose_time_was_assumed_is_recognised() -> None:
    exported = event(time=NOW.isoformat(), timequality="assumed")
    assert accepted(exported).body_hash == accepted(event(time=None)).body_hash
    assert accepted(exported).envelope.time_quality == "assumed"


def test_the_spelling_of_data_and_time_is_no_part_of_the_hash() -> None:
    one = event(data={"deal_id": "D-1", "stage_id": "proposal"})
    other = event(data={"stage_id": "proposal", "deal_id": "D-1"}, time="2026-03-02T08:15:00Z")
    assert accepted(one).body_hash == accepted(other).body_hash
    assert accepted(one).envelope.data == b'{"deal_id":"D-1","stage_id":"proposal"}'


def test_an_event_without_id_gets_a_stable_one() -> None:
    first, again = accepted(event(id=None)), accepted(event(id=None))
    other = accepted(event(id=None, sequence="2"))
    assert first.key == again.key
    assert other.key != first.key


RECORDED = [
    ("now", "2026-01-01T00:00:00Z", None, NOW),
    ("occurred", "2026-01-01T00:00:00Z", None, datetime(2026, 1, 1, tzinfo=UTC)),
    ("occurred", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", datetime(2026, 2, 1, tzinfo=UTC)),
    ("occurred", "2026-05-01T00:00:00Z", None, NOW),
    ("occurred", None, None, NOW),
    ("now", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", NOW),
]


@pytest.mark.parametrize(("mode", "time", "told", "expected"), RECORDED)
def test_when_headway_knew(
    mode: Any, time: str | None, told: str | None, expected: datetime
) -> None:
    receipt = Receipt("acme", NOW, "backfill", mode)
    envelope = accepted(event(time=time, recordedtime=told), receipt).envelope
    assert (envelope.recorded_at, envelope.origin) == (expected, "backfill")


def test_the_tenant_is_the_credentials_whatever_the_event_says() -> None:
    candidate = accepted(event(tenantid="rival", tenant_id="rival"))
    assert candidate.key.tenant_id == "acme"
    assert candidate.log_key.startswith(b"acme:")


def test_binary_mode_reads_the_headers() -> None:
    headers = {"ce-id": "e", "ce-source": "/c%20rm", "ce-type": "deal.won", "ce-sequence": "7"}
    result = examine_binary(headers, {"deal_id": "D"}, LIVE)
    assert isinstance(result, Candidate)
    assert (result.envelope.source, result.envelope.sequence) == ("/c rm", 7)
