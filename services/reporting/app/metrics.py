"""From a parsed question about a metric to its answer, inside one snapshot of the database."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

from libs.common.measures import metrics as sql
from libs.common.measures.counted import By, Measured, Metric
from libs.common.measures.periods import Period
from libs.common.measures.scope import Instants
from services.reporting.app.measuring import Asking
from services.reporting.app.tokens import MetricDrill
from services.reporting.domain import grid, metric_cells, questions
from services.reporting.domain.answers import Answer, Answered
from services.reporting.domain.facts import Pipeline
from services.reporting.domain.grid import Key, Seen
from services.reporting.domain.metric_answers import (
    DealSizeCell,
    DealSizeRow,
    DwellCell,
    DwellRow,
    FlowCell,
    FlowRow,
    LossReasonCell,
    LossReasonRow,
    SalesCycleCell,
    SalesCycleRow,
    StalledCell,
    StalledRow,
    WinRateCell,
    WinRateRow,
)
from services.reporting.domain.metric_figures import Counted, figures
from services.reporting.domain.questions import Common

ANSWERS: Mapping[Metric, Any] = {
    "win_rate": Answer[WinRateRow, WinRateCell],
    "sales_cycle": Answer[SalesCycleRow, SalesCycleCell],
    "deal_size": Answer[DealSizeRow, DealSizeCell],
    "loss_reasons": Answer[LossReasonRow, LossReasonCell],
    "dwell": Answer[DwellRow, DwellCell],
    "flow": Answer[FlowRow, FlowCell],
    "stalled": Answer[StalledRow, StalledCell],
}
"""The shape of each metric's answer."""


@dataclass(frozen=True, slots=True)
class Stalling:
    """What only stalled deals are asked for."""

    threshold: timedelta
    by: By


async def metric_answer(
    asking: Asking, asked: Common, metric: Metric, stalling: Stalling | None = None
) -> Answered:
    """What a metric says of a pipeline."""
    pipeline = questions.pipeline_of(asked, await asking.reads.pipelines())
    own = {"threshold": stalling.threshold, "by": stalling.by} if stalling else {}
    question = questions.measured(asked, metric, pipeline, asking.setting, **own)
    as_of = await asking.as_of(of_events=question.metric == "stalled" and question.by == "idle")
    found = await _periods(asking, asked, question)
    question = replace(question, borders=tuple(period.start for period in found or ()))
    cells, total = await _cells(asking, question, found, pipeline)
    seal = _sealing(asking, Instants(as_of.valid_at, as_of.known_at))
    rows = [
        {"key": cell.shown_key(question)}
        | _cell(question, cell.counted, seal(cell.within(question), cell.place, cell.key))
        for cell in cells
    ]
    answer: Answered = ANSWERS[metric](
        metric=metric,
        definition=f"{asking.definitions}#{metric}",
        params=questions.applied_metric(asked, question, asking.setting),
        as_of=as_of,
        rows=rows,
        total=_cell(question, total, seal(question, (), ())),
    )
    return answer


async def _periods(asking: Asking, asked: Common, question: Measured) -> tuple[Period, ...] | None:
    seen: Seen | None = None
    if asked.interval != "none" and None in (question.start, question.end):
        (extent,) = await asking.reads.run(sql.extent(question))
        if extent["earliest"] is not None:
            seen = cast(Seen, (extent["earliest"], extent["latest"]))
    return grid.cut(question, asked.interval, asking.setting.calendar, seen)


async def _cells(
    asking: Asking,
    question: Measured,
    found: Sequence[Period] | None,
    pipeline: Pipeline | None,
) -> tuple[list[metric_cells.Cell], Counted]:
    numbers = await asking.reads.run(sql.numbers(question))
    with_amounts = question.metric in sql.WITH_AMOUNTS
    sums = await asking.reads.run(sql.sums(question)) if with_amounts else ()
    stages = pipeline.stages if pipeline else ()
    return metric_cells.cells(question, found, numbers, sums, stages)


Seal = Callable[[Measured, Key, Key], Callable[[Counted], str]]


def _sealing(asking: Asking, at: Instants) -> Seal:
    def of_row(question: Measured, place: Key, key: Key) -> Callable[[Counted], str]:
        pinned = replace(question, at=at, borders=())

        def seal(counted: Counted) -> str:
            return asking.seal(MetricDrill(pinned, place, key, _numbers(question, counted)))

        return seal

    return of_row


def _numbers(question: Measured, counted: Counted) -> dict[str, int]:
    """The numbers of deals that can be listed."""
    numbers = {"n": counted.n}
    if question.metric == "win_rate":
        numbers |= {name: counted.count(name) for name in ("won", "lost")}
    return numbers


def _cell(question: Measured, counted: Counted, seal: Callable[[Counted], str]) -> dict[str, Any]:
    return {**figures(question, counted), "drill": seal(counted)}
