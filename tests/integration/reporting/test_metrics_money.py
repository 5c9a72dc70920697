"""Amounts of the metrics: never mixed, never guessed."""

from typing import Any

import pytest

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.metric_histories import (
    B2B,
    closed,
    metric,
    past,
    worth,
)

pytestmark = pytest.mark.postgres


def money(amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


async def total(reporting: Reporting, tenant: str, name: str, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await metric(reporting, tenant, name, **params))["total"]
    return found


async def test_a_missing_rate_blanks_the_sum_that_needs_it_alone(reporting: Reporting) -> None:
    await reporting.tenant("mm1", B2B)
    await reporting.deals(
        "mm1",
        closed("D-1", 1, **worth("10")),
        closed("D-2", 2, "lost", **worth("20")),
        closed("D-3", 3, "lost", **worth("7.5", "USD")),
    )
    found = await total(reporting, "mm1", "win_rate")
    assert (found["value"], found["won"], found["lost"]) == (pytest.approx(1 / 3), 1, 2)
    assert (found["value_won"], found["value_lost"]) == (money("10.00"), None)
    assert found["null_reason"] == "rate_missing"
    assert found["by_currency"] == {
        "won": [money("10.00")],
        "lost": [money("20.00"), money("7.50", "USD")],
    }
    lost = await total(reporting, "mm1", "loss_reasons")
    assert (lost["value"], lost["value_lost"], lost["null_reason"]) == (1.0, None, "rate_missing")
    assert lost["by_currency"] == [money("20.00"), money("7.50", "USD")]


async def test_sizes_of_mixed_currencies_are_null(reporting: Reporting) -> None:
    await reporting.tenant("mm2", B2B)
    dollars = closed("D-2", 2, **worth("7", "USD"), owner_id="u2")
    await reporting.deals("mm2", closed("D-1", 1, **worth("10"), owner_id="u1"), dollars)
    answer = await metric(reporting, "mm2", "deal_size", group_by="owner_id")
    (mine, other), all_ = answer["rows"], answer["total"]
    assert (mine["mean"], mine["null_reason"]) == (money("10.00"), None)
    for cell in (other, all_):
        assert {cell[n] for n in ("value", "mean", "median", "p75", "p90", "won_value")} == {None}
        assert cell["null_reason"] == "rate_missing"
    assert other["by_currency"] == [money("7.00", "USD")]
    assert (all_["n"], all_["without_amount"]) == (2, 0)
    in_dollars = await metric(reporting, "mm2", "deal_size", owner_id="u2", currency="USD")
    assert in_dollars["total"]["mean"] == money("7.00", "USD")
    assert in_dollars["params"]["currency"] == "USD"


async def test_an_amount_without_a_currency_is_in_the_tenants(reporting: Reporting) -> None:
    await reporting.tenant("mm3", B2B, currency="CHF")
    await reporting.deals("mm3", closed("D-1", 1, **worth("5", None)))
    await reporting.deals("mm3", closed("D-2", 2, **worth("6", "CHF")))
    size = await total(reporting, "mm3", "deal_size")
    assert (size["won_value"], size["mean"]) == (money("11.00", "CHF"), money("5.50", "CHF"))
    asked = await total(reporting, "mm3", "deal_size", currency="EUR")
    assert (asked["won_value"], asked["null_reason"]) == (None, "rate_missing")
    assert asked["by_currency"] == [money("11.00", "CHF")]


async def test_zero_in_another_currency_needs_no_rate(reporting: Reporting) -> None:
    await reporting.tenant("mm4", B2B)
    await reporting.deals("mm4", closed("D-1", 1, **worth("0", "USD")))
    await reporting.deals("mm4", closed("D-2", 2, **worth("8")))
    size = await total(reporting, "mm4", "deal_size")
    assert (size["mean"], size["won_value"]) == (money("8.00"), money("8.00"))
    assert (size["without_amount"], size["null_reason"]) == (1, None)
    rate = await total(reporting, "mm4", "win_rate")
    assert (rate["value_won"], rate["null_reason"]) == (money("8.00"), None)


async def test_without_any_amount_there_is_a_sum_and_no_size(reporting: Reporting) -> None:
    await reporting.tenant("mm5", B2B)
    await reporting.deals("mm5", closed("D-1", 1), closed("D-2", 2, **worth("0")))
    size = await total(reporting, "mm5", "deal_size")
    assert (size["n"], size["without_amount"]) == (2, 2)
    assert (size["mean"], size["null_reason"]) == (None, "zero_denominator")
    assert size["won_value"] == money("0.00")


async def test_stalled_values_follow_the_same_rules(reporting: Reporting) -> None:
    await reporting.tenant("mm6", B2B)
    await reporting.deals(
        "mm6",
        past("D-1", (0, "reach", worth("10"))),
        past("D-2", (0, "reach", worth(None))),
        past("D-3", (0, "offer", worth("3", "USD"))),
    )
    answer = await metric(reporting, "mm6", "stalled")
    reach, offer = answer["rows"]
    assert (reach["deals"], reach["value"], reach["without_amount"]) == (2, money("10.00"), 1)
    assert (offer["value"], offer["null_reason"]) == (None, "rate_missing")
    assert answer["total"]["value"] is None
    assert answer["total"]["by_currency"] == [money("10.00"), money("3.00", "USD")]
    assert answer["total"]["without_amount"] == 1


async def test_large_and_long_amounts_stay_exact(reporting: Reporting) -> None:
    await reporting.tenant("mm7", B2B)
    await reporting.deals("mm7", closed("D-1", 1, **worth("123456789012345678.123456")))
    await reporting.deals("mm7", closed("D-2", 2, "lost", **worth("0.000001")))
    rate = await total(reporting, "mm7", "win_rate")
    assert rate["value_won"] == money("123456789012345678.123456")
    assert rate["value_lost"] == money("0.000001")
