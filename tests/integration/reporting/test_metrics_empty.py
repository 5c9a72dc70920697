"""Empty periods of the metrics are listed with zeros, in every stage and under every reason."""

import pytest

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.metric_histories import B2B, days, listed, metric, only, past

pytestmark = pytest.mark.postgres
EMPTY: dict[str, list[tuple[str | None, ...]]] = {
    **{name: [()] for name in ("win_rate", "sales_cycle", "deal_size")},
    "loss_reasons": [(None,)],
    "dwell": [("reach",), ("offer",), ("late",)],
    "flow": [("reach",), ("offer",), ("won",), ("lost",), ("late",)],
}
"""The keys of an empty period."""
TWO_MONTHS = {"from": "2017-01-01", "to": "2017-03-01", "interval": "month"}


@pytest.mark.parametrize("name", EMPTY)
async def test_with_nothing_counted_empty_periods_are_listed_with_zeros(
    reporting: Reporting, name: str
) -> None:
    tenant = f"mp5-{name}"
    await reporting.tenant(tenant, B2B)
    placed = name in ("loss_reasons", "dwell", "flow")
    plain = await metric(reporting, tenant, name)
    assert [row["n"] for row in plain["rows"]] == ([] if placed else [0])
    assert plain["total"]["n"] == 0
    assert plain["total"]["null_reason"] == (None if name == "flow" else "zero_denominator")
    assert (await metric(reporting, tenant, name, interval="month"))["rows"] == []
    found = await metric(reporting, tenant, name, **TWO_MONTHS)
    wanted = [(month, *key, 0) for month in ("2017-01", "2017-02") for key in EMPTY[name]]
    assert only(found["rows"], "n") == wanted
    for row in found["rows"]:
        assert row["null_reason"] == plain["total"]["null_reason"]
        assert await listed(reporting, tenant, row["drill"]) == []


async def test_stages_without_moves_are_listed_in_every_period(reporting: Reporting) -> None:
    await reporting.tenant("mp9", B2B)
    await reporting.deals("mp9", past("D-1", (days(40), "reach", {"owner_id": "u1"})))
    flow = await metric(reporting, "mp9", "flow", **TWO_MONTHS)
    moved: dict[tuple[str | None, ...], int] = {("2017-02", "reach"): 1}
    assert only(flow["rows"], "entered") == [
        (month, *key, moved.get((month, *key), 0))
        for month in ("2017-01", "2017-02")
        for key in EMPTY["flow"]
    ]
    asked = await metric(reporting, "mp9", "dwell", stage_id=["late", "won"], **TWO_MONTHS)
    assert only(asked["rows"], "visits") == [("2017-01", "late", 0), ("2017-02", "late", 0)]
    owned = await metric(reporting, "mp9", "dwell", group_by="owner_id", **TWO_MONTHS)
    assert only(owned["rows"], "visits") == [
        ("2017-01", "reach", "u1", 0), ("2017-02", "reach", "u1", 1),
    ]  # fmt: skip


async def test_an_archived_stage_is_listed_where_something_is_counted_in_it(
    reporting: Reporting,
) -> None:
    await reporting.tenant("mp10", B2B)
    await reporting.connection.execute(
        """UPDATE funnel.stages SET state = 'archived', position = NULL
        WHERE tenant_id = 'mp10' AND stage_id IN ('offer', 'late')"""
    )
    await reporting.deals("mp10", past("D-1", (0, "reach"), (1, "late")))
    dwell = await metric(reporting, "mp10", "dwell", interval="month")
    assert only(dwell["rows"], "visits") == [("2017-01", "reach", 1), ("2017-01", "late", 1)]
