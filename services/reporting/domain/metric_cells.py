"""From records to the cells of a metric's answer. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from libs.common.measures.counted import Measured
from libs.common.measures.metrics import PLACES
from libs.common.measures.periods import Period
from services.reporting.domain.answers import keyed
from services.reporting.domain.facts import Stage
from services.reporting.domain.grid import Key, nulls_last, refuse_too_many, trimmed
from services.reporting.domain.metric_figures import Counted, together
from services.reporting.domain.metric_places import Side, sides

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """A row to be: `place` is empty for metrics that have none."""

    period: Period | None
    place: Key
    key: Key
    counted: Counted

    def shown_key(self, asked: Measured) -> dict[str, str | None]:
        period = {"period": self.period.label} if self.period else {}
        names = (PLACES[asked.metric],) if self.place else ()
        return {**period, **keyed(names, self.place), **keyed(asked.group_by, self.key)}

    def within(self, asked: Measured) -> Measured:
        """The question of this cell's period."""
        if self.period is None:
            return asked
        return replace(asked, start=self.period.start, end=self.period.end)


def cells(
    asked: Measured,
    found: Sequence[Period] | None,
    numbers: Iterable[Record],
    sums: Iterable[Record],
    stages: Sequence[Stage],
) -> tuple[list[Cell], Counted]:
    """A cell per period and key, zeros included, and the total; stages go in the given order."""
    whole, counted, of_key = _counted(asked, numbers, sums)
    of_stages = PLACES.get(asked.metric) == "stage_id"
    order = [stage.stage_id for stage in stages] if of_stages else ()
    found_sides = {side for _, side in counted}
    listed_sides = sorted(
        sides(asked, stages, found_sides, by_period=found is not None), key=_order(order)
    )
    inside = trimmed(asked, found, {period for period, _ in counted})
    refuse_too_many(len(inside) * len(listed_sides))
    listed = [
        Cell(period, *side, counted.get((number, side), Counted(whole=of_key[number, side[1]])))
        for number, period in inside
        for side in listed_sides
    ]
    return listed, together(counted.values(), whole)


Place = tuple[int, Side]


def _counted(
    asked: Measured, numbers: Iterable[Record], sums: Iterable[Record]
) -> tuple[Record, dict[Place, Counted], defaultdict[tuple[int, Key], int]]:
    """The total's numbers, the cells that have something, and the deals of all their places."""
    whole: Record = {}
    rows: dict[Place, Record] = {}
    for record in numbers:
        if record["everything"]:
            whole = record
        else:
            rows[_place(asked, record)] = record
    of_key: defaultdict[tuple[int, Key], int] = defaultdict(int)
    for (period, (_, key)), record in rows.items():
        of_key[period, key] += record["n"]
    amounts, valued = _amounts(asked, sums)
    found = {
        place: Counted(record, amounts[place], valued[place], of_key[place[0], place[1][1]])
        for place, record in rows.items()
    }
    return whole, found, of_key


def _amounts(asked: Measured, sums: Iterable[Record]) -> Any:
    """By place: amounts by what and currency, and the number of deals with one."""
    amounts: defaultdict[Place, dict[str, dict[str, Decimal]]] = defaultdict(dict)
    valued: defaultdict[Place, int] = defaultdict(int)
    for record in sums:
        place = _place(asked, record)
        valued[place] += record["valued"]
        if record["amount"] is not None:
            of = amounts[place].setdefault(record["what"], {})
            of[record["currency"]] = record["amount"]
    return amounts, valued


def _place(asked: Measured, record: Record) -> Place:
    place = (record["place"],) if asked.metric in PLACES else ()
    return record["period"], (place, (record["g0"], record["g1"])[: len(asked.group_by)])


def _order(order: Sequence[str]) -> Any:
    ordinal: dict[str | None, int] = {name: i for i, name in enumerate(order)}

    def sorted_by(side: Side) -> tuple[Any, ...]:
        place, key = side
        return *(ordinal.get(p, len(ordinal)) for p in place), nulls_last(place), nulls_last(key)

    return sorted_by
