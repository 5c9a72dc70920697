"""Stalled deals: open ones over a threshold, by three clocks."""

from typing import Any

import pytest

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.metric_histories import (
    B2B,
    days,
    event,
    listed,
    metric,
    only,
    past,
)

pytestmark = pytest.mark.postgres
FEBRUARY = "2017-02-01T00:00:00Z"
"""31 days after the beginning."""


async def stalled(reporting: Reporting, tenant: str, **params: Any) -> list[str]:
    answer = await metric(reporting, tenant, "stalled", valid_at=FEBRUARY, **params)
    ids = await listed(reporting, tenant, answer["total"]["drill"])
    assert len(ids) == answer["total"]["n"] == answer["total"]["deals"]
    return ids


async def test_exactly_at_the_threshold_is_not_over_it(reporting: Reporting) -> None:
    await reporting.tenant("ms1", B2B)
    await reporting.deals("ms1", past("D-1", (days(1), "reach")))
    for by in ("in_stage", "age"):
        assert await stalled(reporting, "ms1", by=by, threshold="30d") == []
        assert await stalled(reporting, "ms1", by=by, threshold="P29D") == ["D-1"]
        assert await stalled(reporting, "ms1", by=by, threshold=f"{30 * 86_400 - 1}s") == ["D-1"]
        assert await stalled(reporting, "ms1", by=by, threshold=f"{30 * 86_400 + 1}s") == []


async def test_idle_too_is_over_its_threshold_only_after_it(reporting: Reporting) -> None:
    await reporting.tenant("ms2", B2B)
    await reporting.deals("ms2", past("D-1", (0, "reach")))
    await event(reporting.connection, "ms2", "D-1", 0, 0)
    await event(reporting.connection, "ms2", "D-1", days(1), days(1))
    assert await stalled(reporting, "ms2", by="idle", threshold="30d") == []
    assert await stalled(reporting, "ms2", by="idle", threshold="29d") == ["D-1"]


async def test_the_three_clocks_start_at_different_instants(reporting: Reporting) -> None:
    await reporting.tenant("ms3", B2B)
    await reporting.deals("ms3", past("D-1", (0, "reach"), (days(11), "offer")))
    await event(reporting.connection, "ms3", "D-1", days(11), days(11))
    await event(reporting.connection, "ms3", "D-1", days(21), days(21))
    for by, length in (("age", 31), ("in_stage", 20), ("idle", 10)):
        assert await stalled(reporting, "ms3", by=by, threshold=f"{length}d") == [], by
        assert await stalled(reporting, "ms3", by=by, threshold=f"{length - 1}d") == ["D-1"], by


async def test_only_open_deals_stall_and_by_default_30_days_in_stage(
    reporting: Reporting,
) -> None:
    await reporting.tenant("ms4", B2B)
    await reporting.deals(
        "ms4",
        past("D-1", (0, "reach")),
        past("D-2", (0, "offer", {"owner_id": "u1"})),
        past("D-3", (days(0.5), "offer")),
        past("D-4", (0, "reach"), (1, "won")),
        past("D-5", (0, "reach"), (1, None, {"status": "deleted"})),
        past("D-6", (0, "reach"), (1, None, {"status": "merged", "merged_into": "D-1"})),
        past("D-7", (days(2), "reach")),
        past("D-8", (0, "reach"), (1, "won"), (days(20), "reach")),
    )
    answer = await metric(reporting, "ms4", "stalled", valid_at=FEBRUARY)
    assert only(answer["rows"], "deals") == [("reach", 1), ("offer", 2)]
    assert (answer["params"]["threshold"], answer["params"]["by"]) == ("P30D", "in_stage")
    assert answer["total"]["deals"] == 3
    owned = await metric(reporting, "ms4", "stalled", valid_at=FEBRUARY, group_by="owner_id")
    assert only(owned["rows"], "deals") == [("reach", None, 1), ("offer", "u1", 1),
                                           ("offer", None, 1)]  # fmt: skip
    found = [await listed(reporting, "ms4", row["drill"]) for row in owned["rows"]]
    assert found == [["D-1"], ["D-2"], ["D-3"]]
    assert await stalled(reporting, "ms4", stage_id="offer", owner_id="u1") == ["D-2"]
    assert await stalled(reporting, "ms4", by="age") == ["D-1", "D-2", "D-3", "D-8"]


async def test_what_was_said_to_a_merged_deal_touches_its_heir(reporting: Reporting) -> None:
    await reporting.tenant("ms5", B2B)
    merge = {"status": "merged", "merged_into": "D-2"}
    await reporting.deals("ms5", past("D-1", (0, "reach"), (days(5), None, merge)))
    await reporting.deals("ms5", past("D-2", (0, "reach")))
    for deal, day in (("D-1", 0), ("D-2", 1), ("D-1", 4)):
        await event(reporting.connection, "ms5", deal, days(day), days(day))
    assert await stalled(reporting, "ms5", by="idle", threshold="29d") == ["D-2"]
    await event(reporting.connection, "ms5", "D-1", days(6), days(6))
    assert await stalled(reporting, "ms5", by="idle", threshold="29d") == []


async def test_events_count_once_they_have_happened_and_are_known(reporting: Reporting) -> None:
    await reporting.tenant("ms6", B2B)
    await reporting.deals("ms6", past("D-1", (0, "reach")))
    await event(reporting.connection, "ms6", "D-1", 0, 0)
    await event(reporting.connection, "ms6", "D-1", days(20), days(50))
    await event(reporting.connection, "ms6", "D-1", days(40), days(40))
    assert await stalled(reporting, "ms6", by="idle", threshold="20d") == []
    before = {"by": "idle", "threshold": "20d", "known_at": "2017-02-10T00:00:00Z"}
    assert await stalled(reporting, "ms6", **before) == ["D-1"]


async def test_a_list_of_idle_deals_is_pinned_to_all_that_was_known(reporting: Reporting) -> None:
    """An event that changes nothing of a deal but its idle time is knowledge as well."""
    await reporting.tenant("ms7", B2B)
    await reporting.deals("ms7", past("D-1", (0, "reach")), past("D-2", (0, "reach")))
    for deal in ("D-1", "D-2"):
        await event(reporting.connection, "ms7", deal, 0, 0)
    await event(reporting.connection, "ms7", "D-2", days(30), days(30))
    assert await stalled(reporting, "ms7", by="idle", threshold="10d") == ["D-1"]
    asked = {"by": "idle", "threshold": "10d"}
    answer = await metric(reporting, "ms7", "stalled", valid_at=FEBRUARY, **asked)
    echoed = {name: answer["as_of"][name] for name in ("valid_at", "known_at")}
    again = await metric(reporting, "ms7", "stalled", **asked, **echoed)
    assert again["total"]["n"] == answer["total"]["n"] == 1
