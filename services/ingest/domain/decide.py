"""First wins: what enters, what is a repetition, what collides."""

from collections.abc import Mapping, Sequence

from services.ingest.domain.model import (
    CONFLICT,
    Candidate,
    Decision,
    EventKey,
    Examined,
    Rejection,
    Verdict,
)

_COLLIDES = "an event with this id and another body came first; this one is kept aside"


def decide(examined: Sequence[Examined], known: Mapping[EventKey, bytes]) -> Decision:
    """Judge a delivery in its order against the dedup index and against itself."""
    hashes = dict(known)
    verdicts: list[Verdict] = []
    fresh: list[Candidate] = []
    conflicts: list[Candidate] = []
    for event in examined:
        match event:
            case Rejection():
                verdicts.append(rejected(event))
            case Candidate():
                key = event.key
                repeated = key in hashes
                first = hashes.setdefault(key, event.body_hash)
                verdicts.append(_verdict(event, repeated, first))
                if not repeated:
                    fresh.append(event)
                elif first != event.body_hash:
                    conflicts.append(event)
    return Decision(verdicts, fresh, conflicts)


def rejected(event: Rejection) -> Verdict:
    return Verdict(event.event_id, "rejected", event.code, event.detail, event.violations)


def _verdict(event: Candidate, repeated: bool, first: bytes) -> Verdict:
    if not repeated:
        return Verdict(event.envelope.id, "accepted", event.code)
    if first == event.body_hash:
        return Verdict(event.envelope.id, "duplicate")
    return Verdict(event.envelope.id, "duplicate", CONFLICT, _COLLIDES)
