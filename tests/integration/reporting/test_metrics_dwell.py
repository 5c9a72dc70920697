"""Dwell: visits of open stages, finished and not."""

import pytest

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.metric_histories import (
    B2B,
    days,
    listed,
    metric,
    only,
    past,
)

pytestmark = pytest.mark.postgres
HOUR = 3600.0
EXITS = ("advance", "back", "won", "lost", "moved")


async def exits(reporting: Reporting, tenant: str) -> dict[str, tuple[int, ...]]:
    rows = (await metric(reporting, tenant, "dwell"))["rows"]
    return {row["key"]["stage_id"]: tuple(row["exits"][name] for name in EXITS) for row in rows}


async def test_means_are_of_finished_visits_and_open_ones_are_counted(
    reporting: Reporting,
) -> None:
    await reporting.tenant("md1", B2B)
    await reporting.deals(
        "md1",
        past("D-1", (0, "reach"), (1, "offer"), (5, "reach"), (8, "offer"), (18, "won")),
        past("D-2", (0, "reach"), (2, "lost")),
        past("D-3", (0, "reach")),
    )
    answer = await metric(reporting, "md1", "dwell")
    reach, offer = answer["rows"]
    assert (reach["key"], reach["n"], reach["visits"], reach["open"]) == (
        {"stage_id": "reach"}, 3, 4, 1,
    )  # fmt: skip
    # finished after 1, 3 and 2 hours
    assert (reach["value"], reach["mean_seconds"], reach["median_seconds"]) == (2 * HOUR,) * 3
    assert (offer["n"], offer["visits"], offer["open"], offer["mean_seconds"]) == (
        1,
        2,
        0,
        7 * HOUR,
    )
    assert (offer["median_seconds"], offer["km"]) == (7 * HOUR, None)
    assert await exits(reporting, "md1") == {"reach": (2, 0, 0, 1, 0), "offer": (0, 1, 1, 0, 0)}
    total = answer["total"]
    assert (total["n"], total["visits"], total["open"]) == (3, 6, 1)
    assert total["mean_seconds"] == pytest.approx(4 * HOUR)
    assert await listed(reporting, "md1", reach["drill"]) == ["D-1", "D-2", "D-3"]
    assert await listed(reporting, "md1", offer["drill"]) == ["D-1"]
    assert answer["params"]["time"] == "wall"


async def test_a_visit_that_ends_after_valid_at_is_open(reporting: Reporting) -> None:
    await reporting.tenant("md2", B2B)
    await reporting.deals("md2", past("D-1", (0, "reach"), (10, "offer")))
    before = await metric(reporting, "md2", "dwell", valid_at="2017-01-01T09:59:59Z")
    assert only(before["rows"], "visits", "open", "mean_seconds", "null_reason") == [
        ("reach", 1, 1, None, "zero_denominator")
    ]
    at_the_end = await metric(reporting, "md2", "dwell", valid_at="2017-01-01T10:00:00Z")
    assert only(at_the_end["rows"], "open", "mean_seconds") == [
        ("reach", 0, 10 * HOUR), ("offer", 1, None),
    ]  # fmt: skip


async def test_the_period_is_that_of_the_entry(reporting: Reporting) -> None:
    await reporting.tenant("md3", B2B)
    await reporting.deals("md3", past("D-1", (days(30), "reach"), (days(50), "offer")))
    answer = await metric(reporting, "md3", "dwell", interval="month")
    assert only(answer["rows"], "visits", "open", "mean_seconds") == [
        ("2017-01", "reach", 1, 0, 20 * 24 * HOUR),
        ("2017-01", "offer", 0, 0, None),
        ("2017-01", "late", 0, 0, None),
        ("2017-02", "reach", 0, 0, None),
        ("2017-02", "offer", 1, 1, None),
        ("2017-02", "late", 0, 0, None),
    ]
    found = [await listed(reporting, "md3", row["drill"]) for row in answer["rows"]]
    assert found == [["D-1"], [], [], [], ["D-1"], []]


async def test_closing_stages_have_no_dwell_and_moves_are_no_advance(
    reporting: Reporting,
) -> None:
    await reporting.tenant("md4", B2B)
    moved = past("D-1", (0, "reach"), (5, "reach", {"pipeline_id": "renewal"}))
    reopened = past("D-2", (0, "offer"), (1, "won"), (4, "reach"), (6, "late"))
    await reporting.deals("md4", moved, reopened)
    assert await exits(reporting, "md4") == {
        "reach": (1, 0, 0, 0, 1),
        "offer": (0, 0, 1, 0, 0),
        "late": (0, 0, 0, 0, 0),
    }
    assert (await metric(reporting, "md4", "dwell", status="open"))["total"]["visits"] == 4


async def test_visits_of_deals_that_are_gone_do_not_count(reporting: Reporting) -> None:
    await reporting.tenant("md5", B2B)
    for number, status in enumerate(("deleted", "merged")):
        gone = (days(20), None, {"status": status})
        await reporting.deals("md5", past(f"D-{number}", (0, "reach"), gone))
    restored = ((days(20), None, {"status": "deleted"}), (days(40), None, {"status": "open"}))
    await reporting.deals("md5", past("D-2", (0, "reach"), *restored))
    for month, visits in (("01", 3), ("02", 0), ("03", 1)):
        answer = await metric(reporting, "md5", "dwell", valid_at=f"2017-{month}-01T00:00:00Z")
        assert answer["total"]["visits"] == visits, month
    assert await listed(reporting, "md5", answer["total"]["drill"]) == ["D-2"]


async def test_a_stage_filter_chooses_among_the_visits(reporting: Reporting) -> None:
    await reporting.tenant("md6", B2B)
    await reporting.deals("md6", past("D-1", (0, "reach"), (1, "offer"), (2, "late")))
    answer = await metric(reporting, "md6", "dwell", stage_id=["late", "offer"])
    assert only(answer["rows"], "visits") == [("offer", 1), ("late", 1)]
    assert answer["params"]["stage_id"] == ["late", "offer"]
    assert answer["total"]["visits"] == 2
    same = await metric(reporting, "md6", "dwell", stage_id="offer", group_by="stage_id")
    assert only(same["rows"], "visits") == [("offer", 1)]
    assert await listed(reporting, "md6", same["total"]["drill"]) == ["D-1"]
