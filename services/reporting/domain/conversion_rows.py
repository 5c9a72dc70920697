"""From cells to the rows of a conversion answer: ratios, intervals, maturity. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from libs.common.measures.conversion import Conversion
from services.reporting.domain.answers import (
    FEW,
    ConversionCell,
    ConversionRow,
    StageRow,
    bounds,
    keyed,
    null_reason,
    ratio,
)
from services.reporting.domain.conversion import Cell, Counts, total
from services.reporting.domain.facts import Stage
from services.reporting.domain.grid import Key

Seal = Callable[[Conversion, Key, Counts], str]
"""Makes the drill token of a cell; the question is already that of the cell's period."""


@dataclass(frozen=True, slots=True)
class Renderer:
    """What all rows of one answer share."""

    asked: Conversion
    stages: Sequence[Stage]
    seal: Seal

    def row(self, cell: Cell) -> ConversionRow:
        period = {"period": cell.period.label} if cell.period else {}
        asked = _within(self.asked, cell)
        key = {**period, **keyed(self.asked.group_by, cell.key)}
        return ConversionRow(key=key, **dict(self._cell(asked, cell.key, cell.counts)))

    def total(self, cells: Sequence[Cell]) -> ConversionCell:
        return self._cell(self.asked, (), total(cells, len(self.stages)))

    def _cell(self, asked: Conversion, key: Key, counts: Counts) -> ConversionCell:
        value = ratio(counts.won, counts.n)
        return ConversionCell(
            n=counts.n,
            value=value,
            **bounds(counts.won, counts.n),
            low_n=counts.n < FEW,
            null_reason=null_reason(value),
            won=counts.won,
            lost=counts.lost,
            open=counts.n - counts.won - counts.lost,
            mature=_mature(asked),
            stages=[self._stage(i, counts) for i in range(len(self.stages))],
            drill=self.seal(asked, key, counts),
        )

    def _stage(self, index: int, counts: Counts) -> StageRow:
        stage, reached = self.stages[index], counts.reached[index]
        before = counts.reached[index - 1] if index else counts.n
        from_previous = ratio(counts.pairs[index], before)
        from_first = ratio(reached, counts.n)
        return StageRow(
            stage_id=stage.stage_id,
            stage_name=stage.name,
            stage_class=stage.stage_class,
            reached=reached,
            from_previous=from_previous,
            from_first=from_first,
            **bounds(reached, counts.n),
            target=stage.target,
            null_reason=null_reason(from_previous, from_first),
        )


def _within(asked: Conversion, cell: Cell) -> Conversion:
    if cell.period is None:
        return asked
    return replace(asked, start=cell.period.start, end=cell.period.end)


def _mature(asked: Conversion) -> bool:
    """Whether every deal of the cohort has had its whole window; without one, none ever has."""
    if asked.end is None or asked.window is None:
        return False
    return _after(asked.end, asked) <= asked.at.valid_at


def _after(end: datetime, asked: Conversion) -> datetime:
    try:
        return end + (asked.window or end - end)
    except OverflowError:
        return datetime.max.replace(tzinfo=end.tzinfo)
