"""The shapes of the metrics' rows; what has nothing to divide by is null, with the reason."""

from services.reporting.domain.answers import Answered, MoneyValue


class MetricCell(Answered):
    """What every row has; `n` deals stand behind it, and `drill` lists them."""

    n: int
    low_n: bool
    null_reason: str | None = None
    drill: str


class ShareCell(MetricCell):
    """A share with its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None


class WonAndLost(Answered):
    """Amounts as they are, by currency."""

    won: list[MoneyValue]
    lost: list[MoneyValue]


class WinRateCell(ShareCell):
    won: int
    lost: int
    value_won: MoneyValue | None
    value_lost: MoneyValue | None
    by_currency: WonAndLost


class LossReasonCell(ShareCell):
    """`value` is the reason's share of what was lost in the period and of the other keys."""

    value_lost: MoneyValue | None
    by_currency: list[MoneyValue]


class SalesCycleCell(MetricCell):
    """`km_median_days` counts open deals as well; it comes with survival analysis."""

    value: float | None
    mean_days: float | None
    median_days: float | None
    p75_days: float | None
    p90_days: float | None
    km_median_days: float | None = None


class DealSizeCell(MetricCell):
    """Of won deals with an amount; the others are counted in `without_amount`."""

    value: MoneyValue | None
    mean: MoneyValue | None
    median: MoneyValue | None
    p75: MoneyValue | None
    p90: MoneyValue | None
    won_value: MoneyValue | None
    without_amount: int
    by_currency: list[MoneyValue]


class Exits(Answered):
    """How finished visits ended."""

    advance: int
    back: int
    won: int
    lost: int
    moved: int


class DwellCell(MetricCell):
    """Visits, not deals; `km` comes with survival analysis."""

    visits: int
    open: int
    value: float | None
    mean_seconds: float | None
    median_seconds: float | None
    km: dict[str, float] | None = None
    exits: Exits


class FlowCell(MetricCell):
    """Moves, not deals."""

    entered: int
    advanced: int
    back: int
    lost: int
    won: int
    moved: int


class StalledCell(MetricCell):
    deals: int
    value: MoneyValue | None
    without_amount: int
    by_currency: list[MoneyValue]


class WinRateRow(WinRateCell):
    key: dict[str, str | None]


class LossReasonRow(LossReasonCell):
    key: dict[str, str | None]


class SalesCycleRow(SalesCycleCell):
    key: dict[str, str | None]


class DealSizeRow(DealSizeCell):
    key: dict[str, str | None]


class DwellRow(DwellCell):
    key: dict[str, str | None]


class FlowRow(FlowCell):
    key: dict[str, str | None]


class StalledRow(StalledCell):
    key: dict[str, str | None]
