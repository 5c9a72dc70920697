"""From what was counted in one cell to the figures of its row. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from libs.common.measures.counted import Measured, Metric
from libs.common.measures.metrics import EXITS
from services.reporting.domain.answers import (
    FEW,
    RATE_MISSING,
    ZERO_DENOMINATOR,
    MoneyValue,
    bounds,
    money,
    null_reason,
    ratio,
)

DAY = 86_400.0
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Counted:
    """One cell: the record of its numbers, its amounts by what happened, and what it is part of.

    `whole` is the number of deals of all places of the same period and dimensions.
    """

    record: Mapping[str, Any] = field(default_factory=dict)
    sums: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    valued: int = 0
    whole: int = 0

    @property
    def n(self) -> int:
        return int(self.record.get("n", 0))

    def count(self, name: str) -> int:
        return int(self.record.get(name) or 0)

    def of(self, *whats: str) -> dict[str, Decimal]:
        """Amounts by currency."""
        found: defaultdict[str, Decimal] = defaultdict(Decimal)
        for what in whats or self.sums:
            for currency, amount in self.sums.get(what, {}).items():
                found[currency] += amount
        return dict(found)


def together(cells: Iterable[Counted], record: Mapping[str, Any]) -> Counted:
    """The total: its own numbers, and the amounts of all cells."""
    sums: defaultdict[str, defaultdict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    valued = 0
    for cell in cells:
        valued += cell.valued
        for what, of in cell.sums.items():
            for currency, amount in of.items():
                sums[what][currency] += amount
    return Counted(record, sums, valued, int(record.get("n", 0)))


def figures(asked: Measured, cell: Counted) -> Figures:
    """Everything of a row but its key and its drill token."""
    found = _OF[asked.metric](asked, cell)
    return {"n": cell.n, "low_n": cell.n < FEW, **found}


def _win_rate(asked: Measured, cell: Counted) -> Figures:
    won, value = cell.count("won"), ratio(cell.count("won"), cell.n)
    gained, missed = cell.of("won"), cell.of("lost")
    return {
        "value": value,
        **bounds(won, cell.n),
        "won": won,
        "lost": cell.count("lost"),
        "value_won": _sum(asked, gained),
        "value_lost": _sum(asked, missed),
        "by_currency": {"won": _listed(gained), "lost": _listed(missed)},
        "null_reason": null_reason(value) or _foreign(asked, cell.of()),
    }


def _loss_reasons(asked: Measured, cell: Counted) -> Figures:
    value, sums = ratio(cell.n, cell.whole), cell.of()
    return {
        "value": value,
        **bounds(cell.n, cell.whole),
        "value_lost": _sum(asked, sums),
        "by_currency": _listed(sums),
        "null_reason": null_reason(value) or _foreign(asked, sums),
    }


def _sales_cycle(_: Measured, cell: Counted) -> Figures:
    mean, (median, p75, p90) = _days(cell.record.get("mean")), _quantiles(cell, DAY)
    return {
        "value": mean,
        "mean_days": mean,
        "median_days": median,
        "p75_days": p75,
        "p90_days": p90,
        "null_reason": null_reason(mean),
    }


def _deal_size(asked: Measured, cell: Counted) -> Figures:
    sums = cell.of()
    reason = _foreign(asked, sums) or (None if cell.valued else ZERO_DENOMINATOR)
    sizes = [cell.record.get("mean"), *_quantiles(cell)]
    mean, median, p75, p90 = (None if reason else _size(asked, size) for size in sizes)
    return {
        "value": mean,
        "mean": mean,
        "median": median,
        "p75": p75,
        "p90": p90,
        "won_value": _sum(asked, sums),
        "without_amount": cell.n - cell.valued,
        "by_currency": _listed(sums),
        "null_reason": reason,
    }


def _dwell(_: Measured, cell: Counted) -> Figures:
    mean, median = cell.record.get("mean"), _quantiles(cell)[0]
    return {
        "visits": cell.count("visits"),
        "open": cell.count("open"),
        "value": mean,
        "mean_seconds": mean,
        "median_seconds": median,
        "exits": {name: cell.count(name) for name in EXITS},
        "null_reason": null_reason(mean),
    }


def _flow(_: Measured, cell: Counted) -> Figures:
    named = {"entered": "entered", "advanced": "advance"}
    named |= {name: name for name in ("back", "lost", "won", "moved")}
    return {shown: cell.count(name) for shown, name in named.items()}


def _stalled(asked: Measured, cell: Counted) -> Figures:
    sums = cell.of()
    return {
        "deals": cell.n,
        "value": _sum(asked, sums),
        "without_amount": cell.n - cell.valued,
        "by_currency": _listed(sums),
        "null_reason": _foreign(asked, sums),
    }


_OF: Mapping[Metric, Callable[[Measured, Counted], Figures]] = {
    "win_rate": _win_rate,
    "loss_reasons": _loss_reasons,
    "sales_cycle": _sales_cycle,
    "deal_size": _deal_size,
    "dwell": _dwell,
    "flow": _flow,
    "stalled": _stalled,
}


def _quantiles(cell: Counted, unit: float = 1.0) -> list[float | None]:
    found = cell.record.get("quantiles") or (None, None, None)
    return [None if value is None else value / unit for value in found]


def _days(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / DAY


def _size(asked: Measured, amount: Decimal | float | None) -> MoneyValue | None:
    """A mean or a quantile, to the hundredth."""
    if amount is None:
        return None
    return money(round(Decimal(amount), 2), asked.currency)


def _foreign(asked: Measured, sums: Mapping[str, Decimal]) -> str | None:
    """Without a table of rates, amounts of another currency cannot be added."""
    other = any(amount and currency != asked.currency for currency, amount in sums.items())
    return RATE_MISSING if other else None


def _sum(asked: Measured, sums: Mapping[str, Decimal]) -> MoneyValue | None:
    if _foreign(asked, sums):
        return None
    return money(sums.get(asked.currency, Decimal(0)), asked.currency)


def _listed(sums: Mapping[str, Decimal]) -> list[MoneyValue]:
    return [money(amount, currency) for currency, amount in sorted(sums.items())]
