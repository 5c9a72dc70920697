"""What becomes of an event at the door: values only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Literal, NamedTuple

from libs.common.contracts.envelope import Envelope, Origin
from libs.common.contracts.errors import Violation

Recorded = Literal["now", "occurred"]
Status = Literal["accepted", "duplicate", "rejected"]

UNKNOWN_TYPE = "unknown_type"
FUTURE = "future"
CONFLICT = "conflict"
TOO_LARGE = "too_large"
REFUSED_BY_LOG = "refused_by_log"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The circumstances under which events arrive; the tenant is the credential's.

    With `recorded="occurred"` the source vouches that it recorded each event when it happened.
    With `insists` the sender takes no refusal for being over a quota. `answer_by`, of a monotonic
    clock in seconds, is when it has to be answered.
    """

    tenant_id: str
    received_at: datetime
    origin: Origin = "live"
    recorded: Recorded = "now"
    traceparent: str | None = None
    insists: bool = False
    answer_by: float = inf


class EventKey(NamedTuple):
    """The identity of an event."""

    tenant_id: str
    source: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An event that may enter. `code` flags it without refusing it."""

    envelope: Envelope
    body_hash: bytes
    log_key: bytes
    code: str | None = None

    @property
    def key(self) -> EventKey:
        return EventKey(self.envelope.tenant_id, self.envelope.source, self.envelope.id)


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that may not; `violations` is never empty. `event_type` is as it was told."""

    event_id: str | None
    violations: tuple[Violation, ...]
    event_type: str | None = None

    @property
    def code(self) -> str:
        return self.violations[0].code

    @property
    def detail(self) -> str:
        return "; ".join(
            f"{v.pointer}: {v.detail}" if v.pointer else v.detail for v in self.violations
        )


Examined = Candidate | Rejection


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one event, in the order of the request."""

    event_id: str | None
    status: Status
    code: str | None = None
    detail: str | None = None
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Verdicts of a delivery, what has to be appended and what collides with an earlier event.

    Once it is appended, `refused` is what the log refuses for good, each with the log's reason.
    """

    verdicts: Sequence[Verdict]
    fresh: Sequence[Candidate]
    conflicts: Sequence[Candidate]
    refused: Sequence[tuple[Candidate, str]] = ()
