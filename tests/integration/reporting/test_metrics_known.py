"""Metrics as of what was known: late events, echoed instants, restated lists."""

from typing import Any

import pytest

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.histories import DealPast
from tests.integration.reporting.metric_histories import (
    B2B,
    closed,
    days,
    event,
    held,
    listed,
    metric,
    only,
    past,
)

pytestmark = pytest.mark.postgres
BEFORE, AFTER = "2017-03-01T23:59:59Z", "2017-03-02T00:00:00Z"
"""Around day 60, when the late event was recorded."""


def late_loss() -> DealPast:
    """Held to be open until day 60, when a loss of January 11 was recorded."""
    return DealPast(
        "D-1",
        (
            held(0, (0, "reach"), (days(2), "offer")),
            held(
                days(60),
                (0, "reach"),
                (days(2), "offer"),
                (days(10), "lost", {"lost_reason": "price"}),
            ),
        ),
    )


async def both(reporting: Reporting, tenant: str, name: str, **params: Any) -> list[Any]:
    """The totals before and after the late event was recorded, as of January 31."""
    return [
        (
            await metric(
                reporting, tenant, name, valid_at="2017-01-31T00:00:00Z", known_at=known, **params
            )
        )["total"]
        for known in (BEFORE, AFTER)
    ]


async def test_a_late_event_counts_in_its_period_once_it_is_known(reporting: Reporting) -> None:
    await reporting.tenant("mn1", B2B)
    await reporting.deals("mn1", late_loss(), closed("D-2", 5))
    asked = {"from": "2017-01-01", "to": "2017-02-01"}
    before, after = await both(reporting, "mn1", "win_rate", **asked)
    assert (before["won"], before["lost"], before["value"]) == (1, 0, 1.0)
    assert (after["won"], after["lost"], after["value"]) == (1, 1, 0.5)
    assert await listed(reporting, "mn1", before["drill"]) == ["D-2"]
    assert await listed(reporting, "mn1", after["drill"]) == ["D-1", "D-2"]
    before, after = await both(reporting, "mn1", "loss_reasons")
    assert (before["n"], after["n"]) == (0, 1)
    before, after = await both(reporting, "mn1", "dwell", stage_id="offer")
    assert (before["open"], after["open"], after["mean_seconds"]) == (1, 0, 8 * 86_400)
    before, after = await both(reporting, "mn1", "flow")
    assert (before["lost"], after["lost"]) == (0, 1)
    before, after = await both(reporting, "mn1", "stalled", threshold="20d")
    assert (before["deals"], after["deals"]) == (1, 0)


async def test_before_anything_was_known_there_is_nothing(reporting: Reporting) -> None:
    await reporting.tenant("mn2", B2B)
    await reporting.deals("mn2", DealPast("D-1", (held(48, (0, "reach"), (1, "won")),)))
    early = await metric(reporting, "mn2", "win_rate", known_at="2017-01-02T23:59:59Z")
    known = await metric(reporting, "mn2", "win_rate", known_at="2017-01-03T00:00:00Z")
    assert (early["total"]["n"], known["total"]["n"]) == (0, 1)


@pytest.mark.parametrize(
    "name", ["win_rate", "sales_cycle", "deal_size", "loss_reasons", "dwell", "flow", "stalled"]
)
async def test_echoed_instants_give_the_same_numbers_again(reporting: Reporting, name: str) -> None:
    tenant = f"mn3-{name}"
    await reporting.tenant(tenant, B2B)
    deals = (late_loss(), closed("D-2", 5), past("D-3", (0, "reach"), (days(40), "offer")))
    await reporting.deals(tenant, *deals)
    first = await metric(reporting, tenant, name)
    late = held(days(100), (1, "reach"), (2, "offer"), (3, "won"), (4, "lost"), (5, "reach"))
    await reporting.deals(tenant, DealPast("D-9", (late,)))
    await reporting.deals(tenant, DealPast("D-8", (held(days(100), (1, "reach"), (2, "won")),)))
    await reporting.deals(tenant, DealPast("D-7", (held(days(100), (1, "reach"), (2, "lost")),)))
    echoed = {instant: first["as_of"][instant] for instant in ("valid_at", "known_at")}
    again = await metric(reporting, tenant, name, **echoed)
    assert [_numbers(row) for row in again["rows"]] == [_numbers(row) for row in first["rows"]]
    assert _numbers(again["total"]) == _numbers(first["total"])
    now = await metric(reporting, tenant, name)
    assert now["total"]["n"] > first["total"]["n"]
    page = await reporting.get(tenant, f"/v1/drill/{first['total']['drill']}")
    assert (page["n"], page["n_now"]) == (first["total"]["n"], now["total"]["n"])
    assert (page["restated"], page["metric"]) == (True, name)
    assert [item["deal_id"] for item in page["items"]].count("D-9") == 0


def _numbers(cell: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cell.items() if name != "drill"}


async def test_an_event_learned_later_restates_the_list_of_idle_deals(
    reporting: Reporting,
) -> None:
    await reporting.tenant("mn4", B2B)
    await reporting.deals("mn4", past("D-1", (0, "reach")))
    await event(reporting.connection, "mn4", "D-1", 0, 0)
    asked = {"by": "idle", "valid_at": "2017-02-10T00:00:00Z"}
    token = (await metric(reporting, "mn4", "stalled", **asked))["total"]["drill"]
    await event(reporting.connection, "mn4", "D-1", days(30), days(60))
    page = await reporting.get("mn4", f"/v1/drill/{token}")
    assert (page["n"], page["n_now"], page["restated"]) == (1, 0, True)
    assert [item["deal_id"] for item in page["items"]] == ["D-1"]


async def test_a_list_whose_number_stays_may_still_be_restated(reporting: Reporting) -> None:
    await reporting.tenant("mn5", B2B)
    await reporting.deals("mn5", late_loss(), closed("D-2", 5, "lost"))
    gone = DealPast("D-3", (held(0, (0, "reach"), (1, "lost")), held(days(60), (0, "reach"))))
    await reporting.deals("mn5", gone)
    answer = await metric(reporting, "mn5", "win_rate", known_at=BEFORE)
    assert only(answer["rows"], "lost") == [(2,)]
    page = await reporting.get("mn5", f"/v1/drill/{answer['total']['drill']}", of="lost")
    assert (page["n"], page["n_now"], page["restated"]) == (2, 2, True)
    assert [item["deal_id"] for item in page["items"]] == ["D-2", "D-3"]
