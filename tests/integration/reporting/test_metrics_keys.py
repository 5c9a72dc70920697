"""Whom a metric's numbers are credited to: dimensions, filters, then and now."""

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
OWNED = (
    closed("D-1", 10, owner_id="u1", region="north"),
    closed("D-2", 11, "lost", owner_id="u1", region="south"),
    closed("D-3", 12, owner_id="u2", region="north"),
    closed("D-4", 40, region="north"),
)


async def test_null_is_a_key_of_its_own_and_comes_last(reporting: Reporting) -> None:
    await reporting.tenant("mk1", B2B)
    await reporting.deals("mk1", *OWNED)
    answer = await metric(reporting, "mk1", "win_rate", group_by="owner_id", interval="month")
    assert only(answer["rows"], "won", "lost") == [
        ("2017-01", "u1", 1, 1),
        ("2017-01", "u2", 1, 0),
        ("2017-01", None, 0, 0),
        ("2017-02", "u1", 0, 0),
        ("2017-02", "u2", 0, 0),
        ("2017-02", None, 1, 0),
    ]
    nobodys = await listed(reporting, "mk1", answer["rows"][-1]["drill"])
    assert nobodys == ["D-4"]
    assert answer["total"]["n"] == 4


async def test_two_dimensions_cross_and_keep_their_order(reporting: Reporting) -> None:
    await reporting.tenant("mk2", B2B)
    await reporting.deals("mk2", *OWNED)
    answer = await metric(reporting, "mk2", "win_rate", group_by=["region", "owner_id"])
    assert list(answer["rows"][0]["key"]) == ["region", "owner_id"]
    assert only(answer["rows"], "n", "won") == [
        ("north", "u1", 1, 1),
        ("north", "u2", 1, 1),
        ("north", None, 1, 1),
        ("south", "u1", 1, 0),
    ]
    found = [await listed(reporting, "mk2", row["drill"]) for row in answer["rows"]]
    assert found == [["D-1"], ["D-3"], ["D-4"], ["D-2"]]
    swapped = await metric(reporting, "mk2", "win_rate", group_by="owner_id,region")
    assert [list(row["key"].values()) for row in swapped["rows"]] == [
        ["u1", "north"], ["u1", "south"], ["u2", "north"], [None, "north"],
    ]  # fmt: skip


async def test_attributes_are_dimensions_of_text(reporting: Reporting) -> None:
    await reporting.tenant("mk3", B2B)
    gold, seats = closed("D-1", 1, attributes={"tier": "gold"}), {"tier": 7, "odd'name": "x"}
    await reporting.deals("mk3", gold, closed("D-2", 2, attributes=seats), closed("D-3", 3))
    answer = await metric(reporting, "mk3", "deal_size", group_by="attributes.tier")
    assert only(answer["rows"], "n") == [("7", 1), ("gold", 1), (None, 1)]
    odd = await metric(reporting, "mk3", "deal_size", group_by="attributes.odd'name")
    assert only(odd["rows"], "n") == [("x", 1), (None, 2)]


async def test_credit_goes_to_the_owner_at_the_close_or_now(reporting: Reporting) -> None:
    await reporting.tenant("mk4", B2B)
    handed = past(
        "D-1",
        (0, "reach", {"owner_id": "u1"}),
        (days(5), None, {"owner_id": "u2"}),
        (days(10), "lost", {"lost_reason": "price"}),
        (days(20), None, {"owner_id": "u3"}),
    )
    await reporting.deals("mk4", handed)
    for name in ("win_rate", "loss_reasons"):
        then = await metric(reporting, "mk4", name, group_by="owner_id")
        now = await metric(reporting, "mk4", name, group_by="owner_id", credit="current")
        assert [row["key"]["owner_id"] for row in then["rows"]] == ["u2"]
        assert [row["key"]["owner_id"] for row in now["rows"]] == ["u3"]
        assert await listed(reporting, "mk4", now["rows"][0]["drill"]) == ["D-1"]
    for owner, credit, n in (("u2", "at_event", 1), ("u3", "at_event", 0), ("u3", "current", 1)):
        found = await metric(reporting, "mk4", "win_rate", owner_id=owner, credit=credit)
        assert found["total"]["n"] == n, (owner, credit)


async def test_moves_are_credited_each_at_its_own_instant(reporting: Reporting) -> None:
    await reporting.tenant("mk5", B2B)
    handed = past(
        "D-1",
        (0, "reach", {"owner_id": "u1"}),
        (days(1), None, {"owner_id": "u2"}),
        (days(2), "offer"),
    )
    await reporting.deals("mk5", handed)
    flow = await metric(reporting, "mk5", "flow", group_by="owner_id")
    assert only(flow["rows"], "entered", "advanced") == [
        ("reach", "u1", 1, 0),
        ("reach", "u2", 0, 1),
        ("offer", "u2", 1, 0),
    ]
    dwell = await metric(reporting, "mk5", "dwell", group_by="owner_id")
    assert only(dwell["rows"], "visits") == [("reach", "u1", 1), ("offer", "u2", 1)]
    now = await metric(reporting, "mk5", "dwell", group_by="owner_id", credit="current")
    assert only(now["rows"], "visits") == [("reach", "u2", 1), ("offer", "u2", 1)]


async def test_every_filter_is_heard(reporting: Reporting) -> None:
    await reporting.tenant("mk6", B2B)
    rich = closed("D-9", 50, **worth("500"), name="50% off_x", region="west")
    await reporting.deals("mk6", *OWNED, rich)
    for asked in (
        {"region": "west"},
        {"amount_gte": "500", "amount_lte": "500.00"},
        {"q": "50% OFF_"},
        {"closed_from": "2017-02-20", "closed_to": "2017-02-21"},
        {"closed_from": "2017-02-19"},
        {"status": "lost"},
        {"stage_id": "lost"},
        {"in_stage_gte": "115d", "credit": "current", "owner_id": ["u1", "u2"], "region": "south"},
    ):
        assert (await metric(reporting, "mk6", "win_rate", **asked))["total"]["n"] == 1, asked
    for asked in (
        {"q": "50_"},
        {"in_stage_gte": "1s"},
        {"created_from": "2017-01-02"},
        {"channel_partner_id": "p"},
    ):
        assert (await metric(reporting, "mk6", "win_rate", **asked))["total"]["n"] == 0, asked
