"""What the log refuses for good, judged as if the door had rejected it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from libs.common.contracts.errors import Violation
from services.ingest.domain.decide import rejected
from services.ingest.domain.model import (
    REFUSED_BY_LOG,
    Candidate,
    Decision,
    EventKey,
    Examined,
    Rejection,
)
from services.ingest.domain.rows import Chunk

Refused = Mapping[EventKey, tuple[Candidate, str]]
"""The first event under each key that is refused, with the log's reason."""


def without(chunk: Chunk, decision: Decision, refused: Refused) -> tuple[Chunk, Decision]:
    """The chunk and its verdicts once these events count as rejected, their repetitions with them:
    a duplicate is an event that is there already, and these are nowhere."""
    if not refused:
        return chunk, decision
    rows = [replace(row, examined=_judged(row.examined, refused)) for row in chunk.rows]
    return replace(chunk, rows=rows), of_delivery(chunk.examined, decision, refused)


def of_delivery(examined: Sequence[Examined], decision: Decision, refused: Refused) -> Decision:
    """The verdicts once these events count as rejected, as `without` has those of a chunk."""
    if not refused:
        return decision
    verdicts = [
        rejected(event) if isinstance(event, Rejection) else verdict
        for event, verdict in zip(_judged(examined, refused), decision.verdicts, strict=True)
    ]
    fresh = [candidate for candidate in decision.fresh if candidate.key not in refused]
    return replace(decision, verdicts=verdicts, fresh=fresh, refused=list(refused.values()))


def _judged(examined: Sequence[Examined], refused: Refused) -> Sequence[Examined]:
    return [_rejection(event, refused) or event for event in examined]


def _rejection(event: Examined, refused: Refused) -> Rejection | None:
    if not isinstance(event, Candidate) or event.key not in refused:
        return None
    first, reason = refused[event.key]
    if first.body_hash != event.body_hash:
        return None  # another body under that id stays the conflict that it is
    envelope = event.envelope
    return Rejection(envelope.id, (Violation(REFUSED_BY_LOG, "", reason),), envelope.type)
