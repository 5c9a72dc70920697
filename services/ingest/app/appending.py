"""Accepted events into the log."""

from collections.abc import Mapping, Sequence

from libs.common.contracts.envelope import to_headers
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import EventLog, NewRecord, RecordTooLarge
from services.ingest.app.ports import Appended, RefusedByLog
from services.ingest.domain.model import Candidate, EventKey


def record_of(candidate: Candidate) -> NewRecord:
    """The record that carries an accepted event: attributes in headers, data as the value."""
    envelope = candidate.envelope
    return NewRecord(candidate.log_key, envelope.data, to_headers(envelope))


async def append_all(log: EventLog, fresh: Sequence[Candidate]) -> Sequence[Appended]:
    """Append in order; returns once all of them are durable."""
    places = await log.append(CRM_EVENTS, [record_of(candidate) for candidate in fresh])
    return [Appended(c, *place) for c, place in zip(fresh, places, strict=True)]


async def append_each(
    log: EventLog, fresh: Sequence[Candidate]
) -> Sequence[Appended | RefusedByLog]:
    """Append in order what the log takes; each of what it refuses for good stands in its place.

    A group that is refused is halved until each record that is at fault stands alone: what is
    published twice on the way has one effect.
    """
    try:
        return await append_all(log, fresh)
    except RecordTooLarge as error:
        if len(fresh) == 1:
            return [RefusedByLog(fresh[0], str(error))]
    half = len(fresh) // 2
    return [*await append_each(log, fresh[:half]), *await append_each(log, fresh[half:])]


def told_apart(
    told: Sequence[Appended | RefusedByLog],
) -> tuple[Sequence[Appended], Mapping[EventKey, tuple[Candidate, str]]]:
    """What is in the log, and beside it what the log refuses, with its reason."""
    appended = [one for one in told if isinstance(one, Appended)]
    refused = [one for one in told if isinstance(one, RefusedByLog)]
    return appended, {one.candidate.key: (one.candidate, one.reason) for one in refused}


async def append_fit(
    log: EventLog, fresh: Sequence[Candidate]
) -> tuple[Sequence[Appended], Mapping[EventKey, tuple[Candidate, str]]]:
    """Append in order what the log takes, as `append_each`; beside it what it refuses."""
    return told_apart(await append_each(log, fresh))
