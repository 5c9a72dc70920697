"""Empty periods of metrics by stage or reason: listed with zeros, whether anything was found."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from libs.common.measures.counted import Measured, Metric
from libs.common.measures.periods import Calendar, Period, periods
from libs.common.measures.scope import Instants
from services.reporting.domain.facts import Stage
from services.reporting.domain.metric_cells import cells

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
MONTHS = periods(Calendar(ZoneInfo("UTC")), "month", START, END)
STAGES = (
    Stage("lead", "Lead", "open"),
    Stage("offer", "Offer", "open"),
    Stage("won", "Won", "won"),
    Stage("old", "Old", "open", published=False),
)
DISCOVERED = tuple(replace(stage, published=False) for stage in STAGES)
NOTHING: dict[str, Any] = {
    "everything": 1, "period": None, "place": None, "g0": None, "g1": None, "n": 0,
}  # fmt: skip


def found(place: str | None, *, period: int = 1, owner: str | None = None) -> dict[str, Any]:
    """A deal in one place of a month, counted from 1."""
    return {**NOTHING, "everything": 0, "period": period, "place": place, "g0": owner, "n": 1}


def listed(
    metric: Metric,
    *records: dict[str, Any],
    stages: tuple[Stage, ...] = STAGES,
    shown: tuple[Period, ...] | None = MONTHS,
    **more: Any,
) -> list[tuple[str | None, ...]]:
    """The keys' values of all rows, in order."""
    asked = Measured(metric, "p", "EUR", "EUR", Instants(END), START, END, **more)
    rows, _ = cells(asked, shown, [*records, NOTHING], (), stages)
    return [tuple(cell.shown_key(asked).values()) for cell in rows]


def of_both_months(*places: str | None) -> list[tuple[str | None, ...]]:
    return [(month, place) for month in ("2026-01", "2026-02") for place in places]


def test_the_stages_of_the_pipeline_are_listed_where_nothing_moved() -> None:
    assert listed("flow") == of_both_months("lead", "offer", "won")
    assert listed("dwell") == of_both_months("lead", "offer")


def test_a_stage_without_moves_stands_beside_those_that_have_some() -> None:
    assert listed("flow", found("offer")) == of_both_months("lead", "offer", "won")
    assert listed("flow", found("old")) == of_both_months("lead", "offer", "won", "old")


def test_only_the_stages_that_were_asked_for_are_listed() -> None:
    assert listed("flow", places=("won", "nowhere", "lead")) == of_both_months("lead", "won")
    assert listed("flow", places=("old",)) == of_both_months("old")
    assert listed("dwell", places=("won", "offer")) == of_both_months("offer")


def test_a_pipeline_that_nobody_defined_has_the_stages_that_events_named() -> None:
    assert listed("dwell", stages=DISCOVERED) == of_both_months("lead", "offer", "old")
    assert listed("flow", stages=()) == []


def test_reasons_that_occur_are_listed_in_every_month_and_null_where_none_does() -> None:
    assert listed("loss_reasons") == of_both_months(None)
    assert listed("loss_reasons", found("price")) == of_both_months("price")


@pytest.mark.parametrize("metric", ["flow", "dwell", "loss_reasons"])
def test_with_dimensions_the_keys_that_were_found_are_listed(metric: Metric) -> None:
    assert listed(metric, group_by=("owner_id",)) == []
    some = found("lead", owner="u1")
    rows = listed(metric, some, group_by=("owner_id",))
    assert rows == [("2026-01", "lead", "u1"), ("2026-02", "lead", "u1")]


@pytest.mark.parametrize("metric", ["flow", "dwell", "loss_reasons", "stalled"])
def test_without_an_interval_places_are_those_that_were_found(metric: Metric) -> None:
    assert listed(metric, shown=None) == []
    assert listed(metric, found("lead", period=0), shown=None) == [("lead",)]
