"""Sales cycle, deal size and loss reasons, by numbers computed by hand."""

from typing import Any

import pytest

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.metric_histories import (
    B2B,
    closed,
    days,
    listed,
    metric,
    only,
    past,
    worth,
)

pytestmark = pytest.mark.postgres
FIGURES = ("mean_days", "median_days", "p75_days", "p90_days")


def money(amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def lost(deal_id: str, day: float, reason: str | None, **facts: Any) -> Any:
    told = {"lost_reason": reason, **facts}
    return past(deal_id, (0, "reach"), (days(day), "lost", told))


async def test_a_cycle_runs_from_creation_to_the_winning_close(reporting: Reporting) -> None:
    await reporting.tenant("mc1", B2B)
    won = [closed(f"D-{day}", day) for day in (1, 2, 3, 10)]
    await reporting.deals("mc1", *won, closed("L-1", 50, "lost"), past("O-1", (0, "reach")))
    answer = await metric(reporting, "mc1", "sales_cycle")
    (row,) = answer["rows"]
    assert (row["n"], row["value"], row["km_median_days"]) == (4, 4.0, None)
    assert [row[name] for name in FIGURES] == [4.0, 2.5, pytest.approx(4.75), pytest.approx(7.9)]
    assert await listed(reporting, "mc1", row["drill"]) == ["D-1", "D-10", "D-2", "D-3"]


async def test_a_deal_won_again_took_until_it_was_won_again(reporting: Reporting) -> None:
    await reporting.tenant("mc2", B2B)
    twice = past("D-1", (0, "reach"), (24, "won"), (48, "offer"), (days(12.5), "won"))
    await reporting.deals("mc2", twice)
    (row,) = (await metric(reporting, "mc2", "sales_cycle"))["rows"]
    assert [row[name] for name in FIGURES] == [12.5] * 4


async def test_sizes_are_of_won_deals_with_an_amount(reporting: Reporting) -> None:
    await reporting.tenant("mc3", B2B)
    amounts = ("100", "200", "300.50", "1000", None, "0")
    won = [closed(f"D-{n}", n, **worth(amount)) for n, amount in enumerate(amounts, 1)]
    await reporting.deals("mc3", *won, closed("L-1", 9, "lost", **worth("77")))
    (row,) = (await metric(reporting, "mc3", "deal_size"))["rows"]
    assert (row["n"], row["without_amount"], row["null_reason"]) == (6, 2, None)
    # (100 + 200 + 300.5 + 1000) / 4 = 400.125, to the hundredth the even one
    assert row["value"] == row["mean"] == money("400.12")
    assert row["median"] == money("250.25")
    assert (row["p75"], row["p90"]) == (money("475.38"), money("790.15"))
    assert row["won_value"] == money("1600.50")
    assert row["by_currency"] == [money("1600.50")]
    assert len(await listed(reporting, "mc3", row["drill"])) == 6


async def test_an_amount_counts_as_it_is_at_valid_at(reporting: Reporting) -> None:
    await reporting.tenant("mc4", B2B)
    raised = (days(30), None, worth("90"))
    await reporting.deals("mc4", past("D-1", (0, "reach", worth("50")), (days(1), "won"), raised))
    now = await metric(reporting, "mc4", "deal_size")
    then = await metric(reporting, "mc4", "deal_size", valid_at="2017-01-15T00:00:00Z")
    assert (now["total"]["mean"], then["total"]["mean"]) == (money("90.00"), money("50.00"))
    rate = await metric(reporting, "mc4", "win_rate")
    assert rate["total"]["value_won"] == money("90.00")


async def test_reasons_are_shares_of_all_that_was_lost(reporting: Reporting) -> None:
    await reporting.tenant("mc5", B2B)
    reasons = ("price", "price", "late", None)
    told = [lost(f"D-{n}", n, reason, **worth("10")) for n, reason in enumerate(reasons, 1)]
    await reporting.deals("mc5", *told, closed("W-1", 9))
    answer = await metric(reporting, "mc5", "loss_reasons")
    assert only(answer["rows"], "n", "value") == [
        ("late", 1, 0.25), ("price", 2, 0.5), (None, 1, 0.25),
    ]  # fmt: skip
    price = answer["rows"][1]
    assert (price["low"], price["high"]) == (
        pytest.approx(0.1500390, abs=1e-6),
        pytest.approx(0.8499610, abs=1e-6),
    )
    assert (price["key"], price["value_lost"]) == ({"lost_reason": "price"}, money("20.00"))
    total = answer["total"]
    assert (total["n"], total["value"], total["value_lost"]) == (4, 1.0, money("40.00"))
    found = [await listed(reporting, "mc5", row["drill"]) for row in answer["rows"]]
    assert found == [["D-3"], ["D-1", "D-2"], ["D-4"]]


async def test_reasons_go_by_name_whatever_stages_are_called(reporting: Reporting) -> None:
    await reporting.tenant("mc8", B2B)
    reasons = ("price", "late", "budget", "offer", "reach")
    await reporting.deals("mc8", *(lost(f"D-{n}", n, r) for n, r in enumerate(reasons, 1)))
    answer = await metric(reporting, "mc8", "loss_reasons")
    assert [row["key"]["lost_reason"] for row in answer["rows"]] == sorted(reasons)


async def test_shares_are_of_the_same_period_and_group(reporting: Reporting) -> None:
    await reporting.tenant("mc6", B2B)
    await reporting.deals("mc6", lost("D-1", 1, "price"), lost("D-2", 2, "fit"))
    await reporting.deals("mc6", lost("D-3", 3, "fit", owner_id="u1"), lost("D-4", 40, "fit"))
    monthly = await metric(reporting, "mc6", "loss_reasons", interval="month")
    assert only(monthly["rows"], "n", "value", "null_reason") == [
        ("2017-01", "fit", 2, pytest.approx(2 / 3), None),
        ("2017-01", "price", 1, pytest.approx(1 / 3), None),
        ("2017-02", "fit", 1, 1.0, None),
        ("2017-02", "price", 0, 0.0, None),
    ]
    owned = await metric(reporting, "mc6", "loss_reasons", group_by="owner_id")
    assert only(owned["rows"], "n", "value") == [
        ("fit", "u1", 1, 1.0),
        ("fit", None, 2, pytest.approx(2 / 3)),
        ("price", None, 1, pytest.approx(1 / 3)),
    ]


async def test_a_reason_is_that_of_the_loss_that_stands(reporting: Reporting) -> None:
    await reporting.tenant("mc7", B2B)
    again = past(
        "D-1",
        (0, "reach"),
        (days(1), "lost", {"lost_reason": "price"}),
        (days(2), "offer", {"lost_reason": None}),
        (days(40), "lost", {"lost_reason": "fit"}),
    )
    await reporting.deals("mc7", again)
    now = await metric(reporting, "mc7", "loss_reasons", interval="month")
    assert only(now["rows"], "n") == [("2017-02", "fit", 1)]
    before = await metric(reporting, "mc7", "loss_reasons", valid_at="2017-01-02T00:00:00Z")
    assert only(before["rows"], "n") == [("price", 1)]
