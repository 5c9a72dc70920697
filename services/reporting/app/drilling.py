"""The deals behind a number, as they stood when it was answered."""

from dataclasses import replace
from typing import Any

from libs.common.measures import conversion as conversion_sql
from libs.common.measures import metrics as metric_sql
from libs.common.measures import snapshot as snapshot_sql
from libs.common.measures.conversion import Cell
from libs.common.measures.errors import MeasureRefused
from libs.common.measures.scope import Instants, Sql
from services.reporting.app.tokens import ConversionDrill, Drill, MetricDrill

NUMBERS = ("n", "won", "lost", "open", "reached", "from_previous")


def instants(drill: Drill) -> Instants:
    match drill:
        case ConversionDrill():
            return drill.conversion.at
        case MetricDrill():
            return drill.measured.at
    return drill.snapshot.at


def metric(drill: Drill) -> str:
    match drill:
        case ConversionDrill():
            return "conversion"
        case MetricDrill():
            return drill.measured.metric
    return "snapshot"


def counted(drill: Drill, of: str, stage_id: str | None) -> int:
    """The number as it was answered."""
    if isinstance(drill, MetricDrill):
        return drill.numbers[of]
    if not isinstance(drill, ConversionDrill):
        return drill.deals
    n, won, lost, *stages = drill.numbers
    number = {"n": n, "won": won, "lost": lost, "open": n - won - lost}
    if of in number:
        return number[of]
    index = _stage(drill, stage_id)
    return stages[index if of == "reached" else len(drill.conversion.stages) + index]


def deals(drill: Drill, of: str, stage_id: str | None, *, known_now: bool = False) -> Sql:
    """The list, as known at the pinned instant or with everything known now."""
    at = instants(drill)
    at = replace(at, known_at=None) if known_now else at
    if isinstance(drill, ConversionDrill):
        question = replace(drill.conversion, at=at)
        return conversion_sql.deals(question, _cell(drill, of, stage_id))
    if isinstance(drill, MetricDrill):
        return _of_metric(drill, at, of, stage_id)
    if of != "n" or stage_id is not None:
        raise MeasureRefused("of", "invalid_value", "a snapshot has the number n only")
    stock = replace(drill.snapshot, at=at)
    if drill.place is None:
        return snapshot_sql.all_deals(stock)
    return snapshot_sql.deals(stock, drill.place[0], drill.place[1:])


def _of_metric(drill: MetricDrill, at: Instants, of: str, stage_id: str | None) -> Sql:
    if of not in drill.numbers:
        known = ", ".join(drill.numbers)
        raise MeasureRefused("of", "invalid_value", f"must be one of: {known}")
    if stage_id is not None:
        raise MeasureRefused("stage_id", "not_applicable", "the token says which stage")
    question = replace(drill.measured, at=at)
    return metric_sql.deals(question, drill.row, drill.key, None if of == "n" else of)


def _cell(drill: ConversionDrill, of: str, stage_id: str | None) -> Cell:
    if of not in NUMBERS:
        raise MeasureRefused("of", "invalid_value", f"must be one of: {', '.join(NUMBERS)}")
    if of not in ("reached", "from_previous"):
        if stage_id is not None:
            raise MeasureRefused("stage_id", "not_applicable", f"{of} has no stage")
        return Cell(drill.key, of)
    index = _stage(drill, stage_id)
    if of == "from_previous" and index == 0:
        return Cell(drill.key, "reached", 0)
    return Cell(drill.key, of, index)


def _stage(drill: ConversionDrill, stage_id: str | None) -> int:
    stages: tuple[Any, ...] = drill.conversion.stages
    if stage_id not in stages:
        raise MeasureRefused("stage_id", "unknown_stage", f"must be one of: {', '.join(stages)}")
    return stages.index(stage_id)
