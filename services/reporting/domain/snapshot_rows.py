"""From counted stock to the rows of a snapshot answer. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from libs.common.measures.snapshot import Snapshot
from services.reporting.domain.answers import (
    FEW,
    RATE_MISSING,
    ZERO_DENOMINATOR,
    SnapshotCell,
    SnapshotRow,
    keyed,
    money,
)
from services.reporting.domain.facts import Stage

DAY = 86_400
Place = tuple[str | None, ...]
"""A stage, then the values of the dimensions."""
Seal = Callable[[Place | None, int], str]


@dataclass(frozen=True, slots=True)
class Stock:
    """Deals of one place; sums by currency are exact, in the currencies the deals have."""

    deals: int
    valued: int
    age_seconds: Decimal
    sums: Mapping[str, Decimal]


def by_place(
    asked: Snapshot, tenant_currency: str, records: Iterable[Mapping[str, Any]]
) -> dict[Place, Stock]:
    """Records of `measures.snapshot.stock`; an unnamed currency is the tenant's."""
    found: defaultdict[Place, list[Stock]] = defaultdict(list)
    for record in records:
        place = (record["stage_id"], *(record["g0"], record["g1"])[: len(asked.group_by)])
        currency = record["currency"] or tenant_currency
        sums = {} if record["amount"] is None else {currency: record["amount"]}
        stock = Stock(record["deals"], record["valued"], record["age"] or Decimal(0), sums)
        found[place].append(stock)
    return {place: together(stocks) for place, stocks in found.items()}


def together(stocks: Iterable[Stock]) -> Stock:
    deals, valued, age = 0, 0, Decimal(0)
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for stock in stocks:
        deals, valued, age = deals + stock.deals, valued + stock.valued, age + stock.age_seconds
        for currency, amount in stock.sums.items():
            sums[currency] += amount
    return Stock(deals, valued, age, dict(sums))


def rows(
    asked: Snapshot, stages: Sequence[Stage], stock: Mapping[Place, Stock], seal: Seal
) -> list[SnapshotRow]:
    """In the pipeline's order of stages, "no stage" last."""
    ordinal: dict[str | None, int] = {s.stage_id: i for i, s in enumerate(stages)}
    places = sorted(stock, key=lambda place: _order(place, ordinal))
    return [
        SnapshotRow(
            key=keyed(("stage_id", *asked.group_by), place),
            **dict(cell(asked.currency, stock[place], seal(place, stock[place].deals))),
        )
        for place in places
    ]


def cell(currency: str, stock: Stock, drill: str) -> SnapshotCell:
    missing = any(amount and other != currency for other, amount in stock.sums.items())
    return SnapshotCell(
        n=stock.deals,
        deals=stock.deals,
        value=None if missing else money(stock.sums.get(currency, Decimal(0)), currency),
        null_reason=RATE_MISSING if missing else None if stock.deals else ZERO_DENOMINATOR,
        by_currency=[money(amount, other) for other, amount in sorted(stock.sums.items())],
        without_amount=stock.deals - stock.valued,
        mean_age_days=float(stock.age_seconds / stock.deals / DAY) if stock.deals else None,
        low_n=stock.deals < FEW,
        drill=drill,
    )


def _order(place: Place, ordinal: Mapping[str | None, int]) -> tuple[Any, ...]:
    stage, *key = place
    return (
        ordinal.get(stage, len(ordinal)),
        stage is None,
        stage or "",
        *((value is None, value or "") for value in key),
    )
