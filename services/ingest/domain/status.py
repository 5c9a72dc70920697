"""Where an event is, from the traces that it left."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.ingest.domain.model import CONFLICT

State = Literal["accepted", "spooled", "published", "folded", "conflict", "dead"]


@dataclass(frozen=True, slots=True)
class Trace:
    """One trace of an event: in the dedup index, in the funnel, or among the dead letters."""

    kind: Literal["indexed", "folded", "dead"]
    source: str
    partition: int | None = None
    offset: int | None = None
    recorded_at: datetime | None = None
    folded_at: datetime | None = None
    code: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class EventStatus:
    """`conflict` tells that another body came under the id; the first one goes its way."""

    event_id: str
    source: str
    state: State
    partition: int | None
    offset: int | None
    recorded_at: datetime | None
    folded_at: datetime | None
    reason: str | None

    @property
    def settled(self) -> bool:
        """Whether waiting for the fold can end."""
        return self.folded_at is not None or self.state == "dead"


def sources_of(traces: Sequence[Trace]) -> Sequence[str]:
    return sorted({trace.source for trace in traces})


def status_of(event_id: str, traces: Sequence[Trace]) -> EventStatus | None:
    """The status of one event from all its traces, which share a source; `None` without any."""
    if not traces:
        return None
    folded = next((t for t in traces if t.kind == "folded"), None)
    indexed = next((t for t in traces if t.kind == "indexed"), None)
    dead = [t for t in traces if t.kind == "dead"]
    letter = next((t for t in dead if t.code == CONFLICT), dead[0] if dead else None)
    place = indexed or folded or Trace("dead", traces[0].source)
    known = folded or place
    return EventStatus(
        event_id=event_id,
        source=traces[0].source,
        state=_state(folded, indexed, letter),
        partition=place.partition,
        offset=place.offset,
        recorded_at=known.recorded_at,
        folded_at=folded.folded_at if folded else None,
        reason=f"{letter.code}: {letter.detail}" if letter else None,
    )


def _state(folded: Trace | None, indexed: Trace | None, letter: Trace | None) -> State:
    if letter is not None and letter.code == CONFLICT:
        return "conflict"
    if folded is not None:
        return "folded"
    if letter is not None:
        return "dead"
    if indexed is None:
        return "accepted"
    return "spooled" if indexed.offset is None else "published"
