"""Values that travel between the batch, the store and the outbox."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from libs.common.contracts.envelope import Envelope, Origin
from libs.common.contracts.events import EventData
from libs.common.eventlog.port import Record
from services.funnel.domain.accumulator import Accumulator
from services.funnel.domain.diff import RowChanges
from services.funnel.domain.inputs import Pipelines
from services.funnel.domain.model import DealState, FoldEvent, Known, Ref, Span, Visit

DealKey = tuple[str, str]
"""`(tenant_id, deal_id)`."""
EventKey = tuple[str, str, str]
"""`(tenant_id, source, event_id)`."""
RefKey = tuple[str, str, str]
"""`(tenant_id, kind, id)` of a context entity."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record that could be decoded. `data` is `None` for a type that nobody knows yet."""

    record: Record
    envelope: Envelope
    data: EventData | None
    kind: str
    subject: str
    body_hash: bytes

    @property
    def key(self) -> EventKey:
        return self.envelope.tenant_id, self.envelope.source, self.envelope.id


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored event: what the fold sees of it, and what its records repeat of it."""

    tenant_id: str
    kind: str
    event: FoldEvent
    raw: bytes
    origin: Origin
    correlation_id: str | None

    @property
    def live(self) -> bool:
        return self.origin == "live"

    @property
    def deal(self) -> DealKey:
        return self.tenant_id, self.event.subject

    @property
    def ref(self) -> RefKey:
        return self.tenant_id, self.kind, self.event.subject

    @property
    def key(self) -> EventKey:
        return self.tenant_id, self.event.source, self.event.id


@dataclass(frozen=True, slots=True)
class Held:
    """What is stored under an event's key already."""

    body_hash: bytes
    recorded_at: datetime
    kind: str
    subject: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Tenant:
    """The part of a tenant that the fold depends on; `building` is a rebuild's generation.

    `clock` is a sandbox's own time; real tenants have none.
    """

    tenant_id: str
    currency: str
    current: int
    building: int | None
    clock: datetime | None = None

    def now(self, real: datetime) -> datetime:
        """Up to when events show, given what that is for real tenants."""
        return self.clock or real

    @property
    def generations(self) -> tuple[int, ...]:
        return (self.current,) if self.building is None else (self.current, self.building)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A tenant's pipelines as fold input, and the names of their stages."""

    pipelines: Pipelines = field(default_factory=Pipelines)
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def stage_name(self, pipeline_id: str, stage_id: str | None) -> str | None:
        return None if stage_id is None else self.names.get((pipeline_id, stage_id), stage_id)


@dataclass(frozen=True, slots=True)
class StoredDeal:
    """A locked row of `funnel.deals` in the current generation."""

    version: int
    wake_at: datetime | None
    accumulator: bytes | None


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The two-time rows of one deal in one generation."""

    visits: Sequence[Known[Visit]] = ()
    spans: Sequence[Known[Span]] = ()


@dataclass(frozen=True, slots=True)
class DealWrite:
    """All that a transaction writes of one deal in one generation."""

    tenant_id: str
    generation: int
    deal_id: str
    state: DealState | None
    version: int
    wake_at: datetime | None
    accumulator: Accumulator | None
    visits: RowChanges[Visit]
    spans: RowChanges[Span]
    fresh: bool
    """Whether the row is new, and another writer of it must make this transaction start again."""
    vacated: Collection[tuple[str, str]] = ()
    """`(pipeline, stage)` whose earliest visit of this deal is kept no longer."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The event behind a record, in the words of the record."""

    id: str
    source: str
    type: str
    occurred_at: datetime
    recorded_at: datetime
    data: bytes
    origin: Origin = "live"
    correlation_id: str | None = None


def cause_of(kept: Kept) -> Cause:
    event = kept.event
    return Cause(event.id, event.source, event.type, event.occurred_at, event.recorded_at, kept.raw,
                 kept.origin, kept.correlation_id)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One record to publish: a deal went from `before` to `after` because of `cause`."""

    tenant_id: str
    deal_id: str
    version: int
    before: DealState | None
    after: DealState
    cause: Cause
    corrected_from: datetime | None = None
    """Where the past changed; `None` for what happened at the head."""


Refs = frozenset[Ref]
