"""The shapes that reporting answers with; null where a ratio has nothing to divide by."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from libs.common.contracts.deals import decimal_string
from libs.common.measures.wilson import wilson

FEW = 20
ZERO_DENOMINATOR = "zero_denominator"
RATE_MISSING = "rate_missing"


class Answered(BaseModel):
    model_config = ConfigDict(frozen=True)


class AsOf(Answered):
    """The two instants of an answer, and how far known time is final."""

    valid_at: datetime
    known_at: datetime
    watermark: datetime | None
    generation: int


class StageRow(Answered):
    """One stage of a cohort; the interval is that of `from_first`."""

    stage_id: str
    stage_name: str
    stage_class: str
    reached: int
    implied: int = 0
    from_previous: float | None
    from_first: float | None
    low: float | None
    high: float | None
    target: float | None
    null_reason: str | None = None


class ConversionCell(Answered):
    """One cohort: how many entered, what became of them, and how far they came."""

    n: int
    value: float | None
    low: float | None
    high: float | None
    low_n: bool
    null_reason: str | None = None
    won: int
    lost: int
    open: int
    mature: bool
    stages: list[StageRow]
    drill: str


class ConversionRow(ConversionCell):
    key: dict[str, str | None]


class MoneyValue(Answered):
    """An amount; `currency` is null while nobody has named it."""

    amount: str
    currency: str | None


def money(amount: Decimal, currency: str | None) -> MoneyValue:
    """Spelled without the zeros that a column's scale of six adds."""
    short = amount.normalize() + Decimal("0.00")
    return MoneyValue(amount=decimal_string(short), currency=currency)


class SnapshotCell(Answered):
    """The stock of one stage; `value` leaves out deals without an amount and counts them."""

    n: int
    deals: int
    value: MoneyValue | None
    null_reason: str | None = None
    by_currency: list[MoneyValue]
    without_amount: int
    mean_age_days: float | None
    low_n: bool
    drill: str


class SnapshotRow(SnapshotCell):
    key: dict[str, str | None]


RowT = TypeVar("RowT", bound=Answered)
TotalT = TypeVar("TotalT", bound=Answered)


class Answer(Answered, Generic[RowT, TotalT]):
    """What every measure answers."""

    metric: str
    definition: str
    params: dict[str, Any]
    as_of: AsOf
    rows: list[RowT]
    total: TotalT


def ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def bounds(part: int, whole: int) -> Mapping[str, float | None]:
    """`low` and `high` of a share."""
    interval = wilson(part, whole)
    return {
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
    }


def null_reason(*values: float | None) -> str | None:
    return ZERO_DENOMINATOR if None in values else None


def keyed(names: Sequence[str], values: Sequence[str | None]) -> dict[str, str | None]:
    return dict(zip(names, values, strict=True))
