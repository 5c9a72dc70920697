"""Values of the fold: events in their total order, and the rows that follow from them."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import orjson

from libs.common.activities import Activity
from libs.common.contracts.events import EventData

if TYPE_CHECKING:
    from services.funnel.domain.accumulator import Accumulator

Order = tuple[datetime, bool, str, bool, int, str]
Ref = tuple[str, str]
"""`(kind, id)` of a context entity, for example `("account", "a-9")`."""

StageClass = Literal["open", "won", "lost"]
Status = Literal["open", "won", "lost", "deleted", "merged"]
Exit = Literal["left", "won", "lost", "moved", "merged", "deleted"]


@dataclass(frozen=True, slots=True)
class FoldEvent:
    """One event as the fold sees it; `subject` is the deal (or account, user) it addresses.

    `occurred_at` is when it happened, `recorded_at` the smallest instant at which we knew it.
    `reconciled`: only reconciliations have told it.
    """

    subject: str
    type: str
    source: str
    id: str
    occurred_at: datetime
    recorded_at: datetime
    sequence: int | None
    data: EventData
    reconciled: bool = False

    @property
    def order(self) -> Order:
        """The total order: time, creations first, source, sequence with none first, id."""
        numbered = self.sequence is not None
        return (
            self.occurred_at,
            self.type != "deal.created",
            self.source,
            numbered,
            self.sequence or 0,
            self.id,
        )


class JsonObject(dict[str, Any]):
    """Open fields. Python takes `true`, `1` and `1.0` for the same; JSON and its readers do not."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, dict) or not super().__eq__(other):
            return False
        return not self or orjson.dumps(self, option=_SORTED) == orjson.dumps(other, option=_SORTED)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


_SORTED = orjson.OPT_SORT_KEYS


class Facts(NamedTuple):
    """What history keeps of a deal at an instant; dimensions are resolved."""

    status: Status
    pipeline_id: str
    stage_id: str | None
    stage_class: StageClass | None
    stage_entered_at: datetime | None
    created_at: datetime | None
    closed_at: datetime | None
    life: int
    name: str | None
    amount: Decimal | None
    currency: str | None
    owner_id: str | None
    team_id: str | None
    account_id: str | None
    region: str | None
    product_line: str | None
    customer_type: str | None
    industry: str | None
    source: str | None
    channel_partner_id: str | None
    expected_close_date: date | None
    renewal_date: date | None
    push_count: int
    lost_reason: str | None
    merged_into: str | None
    attributes: JsonObject


@dataclass(frozen=True, slots=True)
class DealState:
    """A deal as of an instant: what `GET /v1/deals/{id}` answers, less the version."""

    deal_id: str
    facts: Facts
    activity: Activity
    last_event_at: datetime | None
    recorded_at: datetime


class Visit(NamedTuple):
    """One stay in a stage; `n` counts a deal's visits in fold order, from 1."""

    n: int
    pipeline_id: str
    stage_id: str
    stage_class: StageClass
    entered_at: datetime
    left_at: datetime | None
    exit: Exit | None
    next_stage_id: str | None
    actor_id: str | None
    event_source: str
    event_id: str


class Span(NamedTuple):
    """A stretch of valid time, `[valid_from, valid_to)`, over which the facts are the same."""

    n: int
    valid_from: datetime
    valid_to: datetime | None
    facts: Facts


class Numbered(Protocol):
    """A row of history; `n` counts from 1."""

    @property
    def n(self) -> int: ...


RowT = TypeVar("RowT", bound=Numbered)


@dataclass(frozen=True, slots=True)
class Known(Generic[RowT]):
    """A row and when we held it to be true: `[known_from, known_to)`; `None` is "still"."""

    row: RowT
    known_from: datetime
    known_to: datetime | None = None

    @property
    def key(self) -> tuple[int, datetime]:
        return self.row.n, self.known_from


@dataclass(frozen=True, slots=True)
class Projection:
    """Everything stored of one deal. `state` is `None` while all of its events lie ahead."""

    deal_id: str
    state: DealState | None
    visits: tuple[Known[Visit], ...]
    spans: tuple[Known[Span], ...]
    wake_at: datetime | None
    refs: frozenset[Ref]
    accumulator: "Accumulator | None"
