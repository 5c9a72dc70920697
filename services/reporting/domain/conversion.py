"""From counted records to the cells of a conversion answer. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import add
from typing import Any

from libs.common.measures.conversion import Conversion
from libs.common.measures.errors import MeasureRefused
from libs.common.measures.periods import Calendar, Interval, Period, enclosing, periods

MAX_ROWS = 20_000
Key = tuple[str | None, ...]
Seen = tuple[datetime, datetime]
"""The earliest and the latest entry into the first stage."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted in one cell; `reached` and `pairs` go along the listed stages.

    `pairs[i]` are those that reached stage i-1 and, later, i; before the first stage is the cohort.
    """

    n: int
    won: int
    lost: int
    reached: tuple[int, ...]
    pairs: tuple[int, ...]

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.n + other.n,
            self.won + other.won,
            self.lost + other.lost,
            tuple(map(add, self.reached, other.reached)),
            tuple(map(add, self.pairs, other.pairs)),
        )

    @property
    def numbers(self) -> list[int]:
        return [self.n, self.won, self.lost, *self.reached, *self.pairs]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its period (none without an interval), its key, and what was counted."""

    period: Period | None
    key: Key
    counts: Counts


def nothing(stages: int) -> Counts:
    return Counts(0, 0, 0, (0,) * stages, (0,) * stages)


def total(cells: Iterable[Cell], stages: int) -> Counts:
    """Every counted deal is in exactly one cell."""
    return reduce(add, (cell.counts for cell in cells), nothing(stages))


def cut(
    asked: Conversion, interval: Interval, calendar: Calendar, seen: Seen | None
) -> tuple[Period, ...] | None:
    """The periods to count in: those of the asked time; an end not asked for is where deals are."""
    if interval == "none":
        return None
    start, end = asked.start, asked.end
    if seen and start is None:
        start = enclosing(calendar, interval, seen[0]).start
    if seen and end is None:
        end = enclosing(calendar, interval, seen[1]).end
    return periods(calendar, interval, start, end) if start and end else ()


def cells(
    asked: Conversion,
    found: Sequence[Period] | None,
    records: Iterable[Mapping[str, Any]],
) -> list[Cell]:
    """A cell per period and key, zeros included; without dimensions there is one key.

    `found` is `None` where no interval was asked for.
    """
    stages, width = len(asked.stages), len(asked.group_by)
    counts = {
        (record["period"], (record["g0"], record["g1"])[:width]): _counted(record, stages)
        for record in records
    }
    keys = sorted({key for _, key in counts} or ({()} if not width else set()), key=_nulls_last)
    inside = _trimmed(asked, found, {period for period, _ in counts})
    if len(inside) * len(keys) > MAX_ROWS:
        raise MeasureRefused("group_by", "too_many_rows", f"more than {MAX_ROWS} rows")
    return [
        Cell(period, key, counts.get((number, key)) or nothing(stages))
        for number, period in inside
        for key in keys
    ]


def _trimmed(
    asked: Conversion, found: Sequence[Period] | None, filled: set[int]
) -> list[tuple[int, Period | None]]:
    """Numbered periods, less empty ones at an end that nobody asked for."""
    if found is None:
        return [(0, None)]
    first = 1 if asked.start else min(filled, default=1)
    last = len(found) if asked.end else max(filled, default=0)
    return [(number, found[number - 1]) for number in range(first, last + 1)]


def _counted(record: Mapping[str, Any], stages: int) -> Counts:
    reached = tuple(record[f"r{i}"] for i in range(stages))
    later = tuple(record[f"p{i}"] for i in range(1, stages))
    return Counts(record["n"], record["won"], record["lost"], reached, (*reached[:1], *later))


def _nulls_last(key: Key) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, value or "") for value in key)
