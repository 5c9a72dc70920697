"""Win rate: which closes count, and where."""

from typing import Any

import pytest

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.histories import DealPast
from tests.integration.reporting.metric_histories import (
    B2B,
    closed,
    days,
    listed,
    metric,
    only,
    past,
)

pytestmark = pytest.mark.postgres
FEBRUARY, MARCH, APRIL = "2017-02-01T00:00:00Z", "2017-03-01T00:00:00Z", "2017-04-01T00:00:00Z"


async def rates(reporting: Reporting, tenant: str, **params: Any) -> list[tuple[Any, ...]]:
    answer = await metric(reporting, tenant, "win_rate", **params)
    return only(answer["rows"], "n", "won", "lost")


async def test_won_among_won_and_lost_with_wilsons_bounds(reporting: Reporting) -> None:
    await reporting.tenant("wr1", B2B)
    won = [closed(f"W-{day}", day) for day in (1, 2, 3)]
    await reporting.deals("wr1", *won, closed("L-1", 4, "lost"), past("O-1", (0, "reach")))
    answer = await metric(reporting, "wr1", "win_rate")
    (row,) = answer["rows"]
    assert (row["key"], row["n"], row["won"], row["lost"]) == ({}, 4, 3, 1)
    assert (row["value"], row["low_n"], row["null_reason"]) == (0.75, True, None)
    assert (row["low"], row["high"]) == (
        pytest.approx(0.3006418, abs=1e-7),
        pytest.approx(0.9544127, abs=1e-7),
    )
    assert answer["metric"] == "win_rate"
    assert answer["definition"] == "http://headway/docs/metrics#win_rate"
    total = {name: value for name, value in answer["total"].items() if name != "drill"}
    assert total.items() <= row.items()


@pytest.mark.parametrize(("how", "low", "high"), [("won", 0.8388748, 1.0), ("lost", 0, 0.1611252)])
async def test_twenty_closes_are_enough_and_bounds_stay_inside(
    reporting: Reporting, how: str, low: float, high: float
) -> None:
    tenant = f"wr2-{how}"
    await reporting.tenant(tenant, B2B)
    await reporting.deals(tenant, *(closed(f"D-{day}", day, how) for day in range(1, 21)))
    total = (await metric(reporting, tenant, "win_rate"))["total"]
    assert (total["n"], total["low_n"]) == (20, False)
    assert (total["low"], total["high"]) == (
        pytest.approx(low, abs=1e-7),
        pytest.approx(high, abs=1e-7),
    )


def reopened(deal_id: str, again: str | None) -> DealPast:
    """Won on January 11, open again on January 31, and closed anew, if at all, on March 2."""
    last = [] if again is None else [(days(60), again)]
    return past(deal_id, (0, "reach"), (days(10), "won"), (days(30), "offer"), *last)


async def test_a_deal_counts_with_its_last_close_alone(reporting: Reporting) -> None:
    await reporting.tenant("wr3", B2B)
    await reporting.deals("wr3", reopened("D-1", "lost"), reopened("D-2", "won"))
    await reporting.deals("wr3", reopened("D-3", None))
    assert await rates(reporting, "wr3", interval="month") == [("2017-03", 2, 1, 1)]
    before = await rates(reporting, "wr3", interval="month", valid_at="2017-01-20T00:00:00Z")
    assert before == [("2017-01", 3, 3, 0)]
    between = await metric(reporting, "wr3", "win_rate", valid_at=FEBRUARY)
    assert (between["total"]["n"], between["total"]["null_reason"]) == (0, "zero_denominator")
    january = {"from": "2017-01-01", "to": "2017-02-01"}
    assert await rates(reporting, "wr3", **january) == [(0, 0, 0)]


async def test_lost_right_after_won_is_lost_from_then_on(reporting: Reporting) -> None:
    await reporting.tenant("wr4", B2B)
    await reporting.deals("wr4", past("D-1", (0, "reach"), (days(10), "won"), (days(40), "lost")))
    assert await rates(reporting, "wr4", interval="month", valid_at=FEBRUARY) == [
        ("2017-01", 1, 1, 0)
    ]
    assert await rates(reporting, "wr4", interval="month") == [("2017-02", 1, 0, 1)]


async def test_facts_that_change_after_a_close_do_not_move_it(reporting: Reporting) -> None:
    await reporting.tenant("wr5", B2B)
    later = (days(90), None, {"name": "renamed"})
    await reporting.deals("wr5", past("D-1", (0, "reach"), (days(10), "won"), later))
    assert await rates(reporting, "wr5", interval="month") == [("2017-01", 1, 1, 0)]


async def test_deals_merged_away_leave_with_the_merge(reporting: Reporting) -> None:
    await reporting.tenant("wr6", B2B)
    merge = {"status": "merged", "merged_into": "D-2"}
    gone = past("D-1", (0, "reach"), (days(10), "won"), (days(40), None, merge))
    await reporting.deals("wr6", gone, closed("D-2", 12, "lost"))
    answer = await metric(reporting, "wr6", "win_rate")
    assert only(answer["rows"], "won", "lost") == [(0, 1)]
    assert await listed(reporting, "wr6", answer["total"]["drill"]) == ["D-2"]
    assert await rates(reporting, "wr6", valid_at=FEBRUARY) == [(2, 1, 1)]


async def test_deleted_deals_are_gone_until_they_are_restored(reporting: Reporting) -> None:
    await reporting.tenant("wr7", B2B)
    deleted, restored = {"status": "deleted"}, {"status": "won"}
    back = ((days(40), None, deleted), (days(70), None, restored))
    await reporting.deals("wr7", past("D-1", (0, "reach"), (days(10), "won"), *back))
    assert await rates(reporting, "wr7", valid_at=FEBRUARY) == [(1, 1, 0)]
    assert await rates(reporting, "wr7", valid_at=MARCH) == [(0, 0, 0)]
    assert await rates(reporting, "wr7", interval="month", valid_at=APRIL) == [("2017-01", 1, 1, 0)]


async def test_drills_list_the_won_and_the_lost(reporting: Reporting) -> None:
    await reporting.tenant("wr8", B2B)
    await reporting.deals("wr8", *(closed(f"D-{n}", n, "won" if n % 3 else "lost")
                                   for n in range(1, 10)))  # fmt: skip
    token = (await metric(reporting, "wr8", "win_rate"))["total"]["drill"]
    assert await listed(reporting, "wr8", token, of="lost") == ["D-3", "D-6", "D-9"]
    assert await listed(reporting, "wr8", token, of="won") == [
        "D-1", "D-2", "D-4", "D-5", "D-7", "D-8"
    ]  # fmt: skip
    assert len(await listed(reporting, "wr8", token)) == 9
