"""Where the metrics' periods begin and end, and which of them are listed."""

from typing import Any

import pytest

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.histories import Pipeline
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
LATE_IN_JANUARY = past("D-1", (0, "reach"), (days(31) - 0.5, "won"))
"""Won on January 31 at 23:30 UTC."""


async def months(reporting: Reporting, tenant: str, **params: Any) -> list[tuple[Any, ...]]:
    answer = await metric(reporting, tenant, "win_rate", interval="month", **params)
    return only(answer["rows"], "n")


async def test_a_month_is_one_of_the_tenants_zone(reporting: Reporting) -> None:
    await reporting.tenant("mp1", B2B, timezone="Asia/Tokyo")
    await reporting.deals("mp1", LATE_IN_JANUARY)
    assert await months(reporting, "mp1") == [("2017-02", 1)]
    assert await months(reporting, "mp1", tz="UTC") == [("2017-01", 1)]
    february = {"from": "2017-02-01", "to": "2017-03-01"}
    answer = await metric(reporting, "mp1", "win_rate", **february)
    assert (answer["total"]["n"], answer["params"]["from"]) == (1, "2017-01-31T15:00:00Z")
    assert await listed(reporting, "mp1", answer["rows"][0]["drill"]) == ["D-1"]
    assert (await metric(reporting, "mp1", "win_rate", tz="UTC", **february))["total"]["n"] == 0


async def test_the_asked_time_is_half_open(reporting: Reporting) -> None:
    await reporting.tenant("mp2", B2B)
    await reporting.deals("mp2", closed("D-1", 31), closed("D-2", 59))
    asked = {"from": "2017-02-01", "to": "2017-03-01"}
    assert await months(reporting, "mp2", **asked) == [("2017-02", 1)]
    instants = {"from": "2017-02-01T00:00:00Z", "to": "2017-03-01T00:00:01Z"}
    assert await months(reporting, "mp2", **instants) == [("2017-02", 1), ("2017-03", 1)]


async def test_empty_months_are_listed_with_zeros_and_reasons(reporting: Reporting) -> None:
    await reporting.tenant("mp3", B2B)
    await reporting.deals("mp3", closed("D-1", 10), closed("D-2", 100, "lost"))
    assert await months(reporting, "mp3") == [
        ("2017-01", 1), ("2017-02", 0), ("2017-03", 0), ("2017-04", 1),
    ]  # fmt: skip
    answer = await metric(reporting, "mp3", "win_rate", interval="month")
    empty = answer["rows"][1]
    assert (empty["value"], empty["low"], empty["high"]) == (None, None, None)
    assert (empty["null_reason"], empty["low_n"]) == ("zero_denominator", True)
    assert (empty["value_won"], empty["by_currency"]) == (
        {"amount": "0.00", "currency": "EUR"},
        {"won": [], "lost": []},
    )
    assert await listed(reporting, "mp3", empty["drill"]) == []
    asked = await months(reporting, "mp3", **{"from": "2016-12-15", "to": "2017-02-15"})
    assert asked == [("2016-12", 0), ("2017-01", 1), ("2017-02", 0)]
    open_end = await months(reporting, "mp3", **{"from": "2017-02-15"})
    assert open_end == [("2017-02", 0), ("2017-03", 0), ("2017-04", 1)]
    open_start = await months(reporting, "mp3", to="2017-03-15")
    assert open_start == [("2017-01", 1), ("2017-02", 0), ("2017-03", 0)]


async def test_what_closes_after_valid_at_has_not_happened(reporting: Reporting) -> None:
    await reporting.tenant("mp4", B2B)
    await reporting.deals("mp4", closed("D-1", 10), closed("D-2", 40))
    at_close = await months(reporting, "mp4", valid_at="2017-01-11T00:00:00Z")
    assert at_close == [("2017-01", 1)]
    assert await months(reporting, "mp4", valid_at="2017-01-10T23:59:59Z") == []


async def test_fiscal_quarters_and_weeks_are_the_tenants(reporting: Reporting) -> None:
    await reporting.tenant("mp6", B2B, fiscal_year_start_month=4, week_start="sunday")
    await reporting.deals("mp6", closed("D-1", 10), closed("D-2", 100))
    quarters = await metric(reporting, "mp6", "sales_cycle", interval="quarter")
    assert only(quarters["rows"], "n", "value") == [("2016-Q4", 1, 10.0), ("2017-Q1", 1, 100.0)]
    weeks = await metric(reporting, "mp6", "sales_cycle", interval="week", to="2017-01-15")
    assert only(weeks["rows"], "n") == [("2017-W02", 1)]


async def test_a_pipeline_must_be_named_where_there_are_several(reporting: Reporting) -> None:
    await reporting.tenant("mp7", B2B, Pipeline("renewal"))
    moved = past("D-2", (0, "reach"), (24, "won", {"pipeline_id": "renewal"}))
    await reporting.deals("mp7", closed("D-1", 10), moved)
    for path in ("metrics/win_rate", "metrics/stalled", "funnel/flow"):
        refused = await reporting.ask("mp7", f"/v1/{path}")
        assert (refused.status_code, refused.json()["code"]) == (422, "pipeline_required")
    for pipeline, deal in (("b2b", "D-1"), ("renewal", "D-2")):
        answer = await metric(reporting, "mp7", "win_rate", pipeline_id=pipeline)
        assert answer["params"]["pipeline_id"] == pipeline
        assert await listed(reporting, "mp7", answer["total"]["drill"]) == [deal]


async def test_a_tenant_without_pipelines_has_an_empty_answer(reporting: Reporting) -> None:
    await reporting.tenant("mp8")
    assert (await metric(reporting, "mp8", "dwell", interval="month"))["rows"] == []
    assert (await metric(reporting, "mp8", "stalled"))["total"]["deals"] == 0
