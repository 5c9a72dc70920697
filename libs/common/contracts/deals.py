"""What funnel publishes on `headway.deals.v1`: the state of a deal after a change, and watermarks.

Readers ignore unknown fields; the writer builds these models, so it can write no other.
"""

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from libs.common.contracts.events import ActivityKind, CustomerType
from libs.common.contracts.values import Amount, Count, Currency, Day, Id, Instant, Json, Text

DealStatus = Literal["open", "won", "lost", "deleted", "merged"]
StageClass = Literal["open", "won", "lost"]


def decimal_string(amount: Decimal) -> str:
    """Money as clients get it: plain digits, at least two decimal places."""
    exponent = amount.as_tuple().exponent
    scale = max(2, -exponent) if isinstance(exponent, int) else 2
    return f"{amount:.{scale}f}"


MoneyAmount = Annotated[Amount, PlainSerializer(decimal_string, return_type=str)]


class RecordData(BaseModel):
    """Base of what topics carry besides CRM events."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Money(RecordData):
    """An amount; `currency` is null while nobody has named it."""

    amount: MoneyAmount
    currency: Currency | None = None


class DealRecordState(RecordData):
    """A deal as of the tenant's now; the same shape that `GET /v1/deals/{id}` answers."""

    deal_id: Id
    pipeline_id: Id
    name: Text | None = None
    status: DealStatus
    life: Count
    stage_id: Id | None = None
    stage_name: Text | None = None
    stage_class: StageClass | None = None
    stage_entered_at: Instant | None = None
    created_at: Instant
    closed_at: Instant | None = None
    amount: Money | None = None
    owner_id: Id | None = None
    team_id: Id | None = None
    account_id: Id | None = None
    region: Id | None = None
    product_line: Id | None = None
    customer_type: CustomerType | None = None
    industry: Id | None = None
    source: Id | None = None
    channel_partner_id: Id | None = None
    expected_close_date: Day | None = None
    push_count: Count = 0
    renewal_date: Day | None = None
    lost_reason: Text | None = None
    first_activity_at: Instant | None = None
    last_activity_at: Instant | None = None
    last_activity_kind: ActivityKind | None = None
    last_customer_touch_at: Instant | None = None
    next_planned_at: Instant | None = None
    activity_count: Count = 0
    merged_into: Id | None = None
    attributes: Json = Field(default_factory=dict)
    version: Count
    last_event_at: Instant
    recorded_at: Instant


class Cause(RecordData):
    """The event that made the record; `data` is its own, so activities travel here."""

    id: Id
    source: Annotated[str, Field(min_length=1, max_length=500)]
    type: Annotated[str, Field(min_length=1, max_length=200)]
    occurred_at: Instant
    data: Any = None


class Change(RecordData):
    """A field of the state before and after."""

    from_: Any = Field(default=None, alias="from")
    to: Any = None
    model_config = ConfigDict(
        serialize_by_alias=True, validate_by_name=True, validate_by_alias=True
    )


class StateChanged(RecordData):
    """One change of one deal. `version` counts the deal's records.

    `corrected` says that a late event changed the past, from `corrected_from` on.
    """

    event_type: ClassVar[str] = "deal.state_changed"
    deal_id: Id
    version: Count
    state: DealRecordState
    changed: dict[str, Change] = Field(default_factory=dict)
    cause: Cause
    corrected: bool = False
    corrected_from: Instant | None = None


class Watermark(RecordData):
    """Everything accepted live before `watermark` has been published before this record."""

    event_type: ClassVar[str] = "deal.watermark"
    watermark: Instant
    partition: Count


RECORDS: dict[str, type[RecordData]] = {m.event_type: m for m in (StateChanged, Watermark)}
"""The records of `headway.deals.v1` by `ce_type`."""


def to_json(record: RecordData) -> bytes:
    """The value of a record: by alias, money as text, instants in UTC."""
    return record.model_dump_json(by_alias=True).encode()
