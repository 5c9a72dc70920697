"""Accepted events into the log."""

from collections.abc import Sequence

from libs.common.contracts.envelope import to_headers
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import EventLog, NewRecord
from services.ingest.app.ports import Appended
from services.ingest.domain.model import Candidate


def record_of(candidate: Candidate) -> NewRecord:
    """The record that carries an accepted event: attributes in headers, data as the value."""
    envelope = candidate.envelope
    return NewRecord(candidate.log_key, envelope.data, to_headers(envelope))


async def append_all(log: EventLog, fresh: Sequence[Candidate]) -> Sequence[Appended]:
    """Append in order; returns once all of them are durable."""
    places = await log.append(CRM_EVENTS, [record_of(candidate) for candidate in fresh])
    return [Appended(c, *place) for c, place in zip(fresh, places, strict=True)]
