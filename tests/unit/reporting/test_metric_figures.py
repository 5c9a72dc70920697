"""The figures of one cell: nulls with their reasons, amounts by currency, types of quantiles."""

from decimal import Decimal
from typing import Any

import pytest

from libs.common.measures.counted import Metric
from services.reporting.domain.answers import money
from services.reporting.domain.metric_figures import Counted, figures, together
from tests.unit.reporting.test_metric_cells import asked

ALL: tuple[Metric, ...] = (
    "win_rate", "sales_cycle", "deal_size", "loss_reasons", "dwell", "flow", "stalled",
)  # fmt: skip
DAY = 86_400.0


def shown(metric: Metric, record: dict[str, Any], **more: Any) -> dict[str, Any]:
    return figures(asked(metric), Counted(record, **more))


@pytest.mark.parametrize("metric", ALL)
def test_an_empty_cell_has_zeros_and_a_reason_where_a_ratio_is_missing(metric: Metric) -> None:
    found = figures(asked(metric), Counted())
    assert (found["n"], found["low_n"]) == (0, True)
    ratio = metric not in ("flow", "stalled")
    assert found.get("null_reason") == ("zero_denominator" if ratio else None)
    assert found.get("value", None) == (money(Decimal(0), "EUR") if metric == "stalled" else None)


@pytest.mark.parametrize("n", [19, 20])
def test_fewer_than_twenty_are_few(n: int) -> None:
    assert shown("stalled", {"n": n})["low_n"] is (n < 20)


def test_days_are_of_24_hours_and_seconds_stay_seconds() -> None:
    record = {"n": 2, "mean": 2 * DAY, "quantiles": [DAY, 3 * DAY, 0.0]}
    cycle = shown("sales_cycle", record)
    assert [cycle[f"{name}_days"] for name in ("mean", "median", "p75", "p90")] == [2, 1, 3, 0]
    dwell = shown("dwell", record)
    assert (dwell["mean_seconds"], dwell["median_seconds"]) == (2 * DAY, DAY)


def test_sizes_need_a_rate_before_they_need_a_deal() -> None:
    sums = {"won": {"EUR": Decimal(5), "USD": Decimal(1)}}
    found = shown("deal_size", {"n": 2, "mean": Decimal(5)}, sums=sums, valued=2)
    assert (found["mean"], found["won_value"], found["null_reason"]) == (None, None, "rate_missing")
    assert found["by_currency"] == [money(Decimal(5), "EUR"), money(Decimal(1), "USD")]


def test_sizes_are_to_the_hundredth_and_sums_exact() -> None:
    sums = {"won": {"EUR": Decimal("1.000001")}}
    record = {"n": 1, "mean": Decimal("1.000001"), "quantiles": [2.675, 1 / 3, 1e9]}
    found = shown("deal_size", record, sums=sums, valued=1)
    sizes = [found[name].amount for name in ("mean", "median", "p75", "p90")]
    assert sizes == ["1.00", "2.67", "0.33", "1000000000.00"]
    assert found["won_value"].amount == "1.000001"


def test_amounts_of_what_was_won_and_lost_are_kept_apart() -> None:
    sums = {"won": {"EUR": Decimal(3)}, "lost": {"EUR": Decimal(4)}}
    found = shown("win_rate", {"n": 2, "won": 1, "lost": 1}, sums=sums)
    assert (found["value_won"].amount, found["value_lost"].amount) == ("3.00", "4.00")


def test_a_total_has_its_own_numbers_and_the_amounts_of_all_cells() -> None:
    one = Counted({"n": 2}, {"won": {"EUR": Decimal(1)}}, valued=1)
    two = Counted({"n": 2}, {"won": {"EUR": Decimal(2), "USD": Decimal(4)}}, valued=2)
    total = together([one, two], {"n": 3})
    assert (total.n, total.whole, total.valued) == (3, 3, 3)
    assert total.of("won") == {"EUR": Decimal(3), "USD": Decimal(4)}
