"""Accepted events into the log."""

from collections.abc import Mapping, Sequence

from libs.common.contracts.envelope import to_headers
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import EventLog, NewRecord, RecordTooLarge
from services.ingest.app.ports import Appended
from services.ingest.domain.model import Candidate, EventKey


def record_of(candidate: Candidate) -> NewRecord:
    """The record that carries an accepted event: attributes in headers, data as the value."""
    envelope = candidate.envelope
    return NewRecord(candidate.log_key, envelope.data, to_headers(envelope))


async def append_all(log: EventLog, fresh: Sequence[Candidate]) -> Sequence[Appended]:
    """Append in order; returns once all of them are durable."""
    places = await log.append(CRM_EVENTS, [record_of(candidate) for candidate in fresh])
    return [Appended(c, *place) for c, place in zip(fresh, places, strict=True)]


async def append_fit(
    log: EventLog, fresh: Sequence[Candidate]
) -> tuple[Sequence[Appended], Mapping[EventKey, tuple[Candidate, str]]]:
    """Append in order what the log takes; beside it what it refuses for good, with its reason.

    A group that is refused is halved until each record that is at fault stands alone: what is
    published twice on the way has one effect.
    """
    try:
        return await append_all(log, fresh), {}
    except RecordTooLarge as error:
        if len(fresh) == 1:
            return (), {fresh[0].key: (fresh[0], str(error))}
    half = len(fresh) // 2
    first, refused = await append_fit(log, fresh[:half])
    second, more = await append_fit(log, fresh[half:])
    return [*first, *second], {**refused, **more}
