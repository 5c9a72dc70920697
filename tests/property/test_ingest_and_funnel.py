"""What ingest takes, funnel takes, and both mean the same: no sender's event dies in between."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, event, given, settings

from libs.common.contracts.catalogue import log_key, parse
from libs.common.contracts.envelope import to_headers
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import Record
from services.funnel.app.decode import decode, kept_of
from services.funnel.app.model import Incoming
from services.ingest.domain.examine import examine_binary, examine_structured
from services.ingest.domain.model import Candidate, Examined, Receipt, Rejection
from tests.property.accepted import binary, structured

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
RECEIPT = Receipt("acme", NOW)
MANY = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def record_of(candidate: Candidate) -> Record:
    envelope = candidate.envelope
    return Record(CRM_EVENTS, 0, 0, candidate.log_key, envelope.data, to_headers(envelope), NOW)


def assert_taken(examined: Examined, data: Any) -> None:
    event(type(examined).__name__)
    if isinstance(examined, Rejection):
        return
    incoming = decode(record_of(examined))
    assert isinstance(incoming, Incoming), incoming
    assert incoming.envelope == examined.envelope
    assert incoming.body_hash == examined.body_hash
    assert log_key("acme", incoming.subject) == examined.log_key
    assert incoming.data == parse(incoming.envelope.type, data, strict=True)
    kept = kept_of(incoming)
    assert (kept is None) is (incoming.data is None)


@MANY
@given(structured())
def test_an_event_in_structured_mode(sent: dict[str, Any]) -> None:
    assert_taken(examine_structured(sent, RECEIPT), sent["data"])


@MANY
@given(binary())
def test_an_event_in_binary_mode(sent: tuple[dict[str, str], Any]) -> None:
    headers, data = sent
    assert_taken(examine_binary(headers, data, RECEIPT), data)
