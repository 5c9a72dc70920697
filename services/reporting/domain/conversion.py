"""From counted records to the cells of a conversion answer. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from libs.common.measures.conversion import Conversion
from libs.common.measures.periods import Period
from services.reporting.domain.grid import Key, nulls_last, refuse_too_many, trimmed


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
    keys = sorted({key for _, key in counts} or ({()} if not width else set()), key=nulls_last)
    inside = trimmed(asked, found, {period for period, _ in counts})
    refuse_too_many(len(inside) * len(keys))
    return [
        Cell(period, key, counts.get((number, key)) or nothing(stages))
        for number, period in inside
        for key in keys
    ]


def _counted(record: Mapping[str, Any], stages: int) -> Counts:
    reached = tuple(record[f"r{i}"] for i in range(stages))
    later = tuple(record[f"p{i}"] for i in range(1, stages))
    return Counts(record["n"], record["won"], record["lost"], reached, (*reached[:1], *later))
