"""Flow: each move into and out of a stage, at its own instant."""

import pytest

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.histories import DealPast, Pipeline
from tests.integration.reporting.metric_histories import (
    B2B,
    days,
    listed,
    metric,
    only,
    past,
)

pytestmark = pytest.mark.postgres
MOVES = ("entered", "advanced", "back", "won", "lost", "moved")


def some() -> tuple[DealPast, ...]:
    return (
        past("D-1", (0, "reach"), (1, "offer"), (2, "reach"), (3, "offer"), (4, "won")),
        past("D-2", (0, "reach"), (days(40), "lost")),
        past("D-3", (0, "offer"), (1, "offer", {"pipeline_id": "renewal"})),
        past("D-4", (0, "reach")),
    )


async def test_every_move_is_told_once_by_stage(reporting: Reporting) -> None:
    await reporting.tenant("mf1", B2B)
    await reporting.deals("mf1", *some())
    answer = await metric(reporting, "mf1", "flow")
    assert only(answer["rows"], "n", *MOVES) == [
        ("reach", 3, 4, 2, 0, 0, 1, 0),
        ("offer", 2, 3, 0, 1, 1, 0, 1),
        ("won", 1, 1, 0, 0, 0, 0, 0),
        ("lost", 1, 1, 0, 0, 0, 0, 0),
    ]
    total = answer["total"]
    assert [total[name] for name in ("n", *MOVES)] == [4, 9, 2, 1, 1, 1, 1]
    found = [await listed(reporting, "mf1", row["drill"]) for row in answer["rows"]]
    assert found == [["D-1", "D-2", "D-4"], ["D-1", "D-3"], ["D-1"], ["D-2"]]
    assert await listed(reporting, "mf1", total["drill"]) == ["D-1", "D-2", "D-3", "D-4"]


async def test_a_move_counts_in_the_period_in_which_it_happens(reporting: Reporting) -> None:
    await reporting.tenant("mf2", B2B)
    await reporting.deals("mf2", *some())
    answer = await metric(reporting, "mf2", "flow", interval="month", stage_id="reach")
    assert only(answer["rows"], "n", *MOVES) == [
        ("2017-01", "reach", 3, 4, 2, 0, 0, 0, 0),
        ("2017-02", "reach", 1, 0, 0, 0, 0, 1, 0),
    ]
    asked = {"from": "2017-02-01", "to": "2017-03-01"}
    february = await metric(reporting, "mf2", "flow", **asked)
    assert only(february["rows"], "entered", "lost") == [("reach", 0, 1), ("lost", 1, 0)]
    assert await listed(reporting, "mf2", february["rows"][0]["drill"]) == ["D-2"]


async def test_a_reopening_leaves_the_closing_stage(reporting: Reporting) -> None:
    await reporting.tenant("mf3", B2B)
    back = past("D-1", (0, "reach"), (1, "won"), (2, "offer"))
    on = past("D-2", (0, "reach"), (1, "lost"), (2, "late"))
    turned = past("D-3", (0, "reach"), (1, "won"), (2, "lost"))
    await reporting.deals("mf3", back, on, turned)
    rows = {row["key"]["stage_id"]: row for row in (await metric(reporting, "mf3", "flow"))["rows"]}
    assert [rows["won"][name] for name in MOVES] == [2, 0, 1, 0, 1, 0]
    assert [rows["lost"][name] for name in MOVES] == [2, 1, 0, 0, 0, 0]


async def test_what_happens_after_valid_at_is_not_told(reporting: Reporting) -> None:
    await reporting.tenant("mf4", B2B)
    await reporting.deals("mf4", *some())
    answer = await metric(reporting, "mf4", "flow", valid_at="2017-01-01T02:00:00Z")
    assert only(answer["rows"], "entered", "advanced", "back") == [
        ("reach", 4, 1, 0), ("offer", 2, 0, 1),
    ]  # fmt: skip


async def test_deals_that_are_gone_have_made_no_moves(reporting: Reporting) -> None:
    await reporting.tenant("mf5", B2B)
    gone = past("D-1", (0, "reach"), (1, "offer"), (days(9), None, {"status": "deleted"}))
    await reporting.deals("mf5", gone)
    assert (await metric(reporting, "mf5", "flow"))["rows"] == []
    before = await metric(reporting, "mf5", "flow", valid_at="2017-01-05T00:00:00Z")
    assert before["total"]["entered"] == 2


async def test_back_and_advance_go_by_todays_order(reporting: Reporting) -> None:
    await reporting.tenant("mf6", B2B)
    await reporting.deals("mf6", past("D-1", (0, "reach"), (1, "offer")))
    assert (await metric(reporting, "mf6", "flow"))["total"]["advanced"] == 1
    await reporting.connection.execute(
        "UPDATE funnel.stages SET position = 10 - position WHERE tenant_id = 'mf6'"
    )
    answer = await metric(reporting, "mf6", "flow")
    assert (answer["total"]["advanced"], answer["total"]["back"]) == (0, 1)
    assert [row["key"]["stage_id"] for row in answer["rows"]] == ["offer", "reach"]


async def test_a_deal_moved_here_enters_here(reporting: Reporting) -> None:
    await reporting.tenant("mf7", B2B, Pipeline("renewal"))
    moved = past("D-1", (0, "reach"), (1, "offer", {"pipeline_id": "renewal"}))
    await reporting.deals("mf7", moved)
    here = await metric(reporting, "mf7", "flow", pipeline_id="b2b")
    there = await metric(reporting, "mf7", "flow", pipeline_id="renewal")
    assert only(here["rows"], "entered", "moved") == [("reach", 1, 1)]
    assert only(there["rows"], "entered", "moved") == [("offer", 1, 0)]
