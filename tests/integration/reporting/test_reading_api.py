"""Snapshot, drill, ETags and walls, as clients see them."""

from decimal import Decimal
from typing import Any

import pytest

from libs.common.measures.definitions import DEFINITIONS
from services.reporting.domain.unbuilt import UNBUILT
from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.histories import DealPast, Pipeline, Step, at, bump, version
from tests.integration.reporting.test_conversion_api import B2B, DEALS, deal

pytestmark = pytest.mark.postgres
SNAPSHOT, CONVERSION = "/v1/funnel/snapshot", "/v1/funnel/conversion"


def worth(deal_id: str, amount: str | None, currency: str | None, **facts: Any) -> DealPast:
    value = None if amount is None else Decimal(amount)
    return deal(deal_id, (0, "reach"), amount=value, currency=currency, **facts)


async def test_a_snapshot_is_the_stock_at_an_instant(reporting: Reporting) -> None:
    await reporting.tenant("s1", B2B)
    await reporting.deals("s1", *DEALS, worth("D-7", "10.5", "EUR"), worth("D-8", "0", None))
    early = await reporting.get("s1", SNAPSHOT, valid_at="2017-01-03T00:00:00Z")
    (row,) = early["rows"]
    assert (row["key"], row["deals"], row["n"]) == ({"stage_id": "reach"}, 3, 3)
    assert row["value"] == {"amount": "10.50", "currency": "EUR"}
    assert (row["without_amount"], row["by_currency"]) == (
        2,
        [{"amount": "10.50", "currency": "EUR"}],
    )
    assert row["mean_age_days"] == pytest.approx((48 + 48 + 38) / 3 / 24)
    later = await reporting.get("s1", SNAPSHOT)
    assert [(r["key"]["stage_id"], r["deals"]) for r in later["rows"]] == [
        ("reach", 3),
        ("offer", 2),
    ]
    assert later["total"]["deals"] == 5


async def test_values_in_another_currency_are_null_with_their_originals(
    reporting: Reporting,
) -> None:
    await reporting.tenant("s2", B2B)
    await reporting.deals("s2", worth("D-1", "10", "EUR"), worth("D-2", "7", "USD"))
    (row,) = (await reporting.get("s2", SNAPSHOT))["rows"]
    assert (row["value"], row["null_reason"]) == (None, "rate_missing")
    assert row["by_currency"] == [
        {"amount": "10.00", "currency": "EUR"},
        {"amount": "7.00", "currency": "USD"},
    ]
    dollars = await reporting.get("s2", SNAPSHOT, currency="USD", status="open", amount_lte="7")
    assert dollars["total"]["value"] == {"amount": "7.00", "currency": "USD"}


async def test_a_snapshot_takes_statuses_and_dimensions_and_no_period(
    reporting: Reporting,
) -> None:
    await reporting.tenant("s3", B2B)
    await reporting.deals("s3", *DEALS)
    answer = await reporting.get(
        "s3", SNAPSHOT, status=["won", "lost"], group_by=["stage_id", "owner_id"]
    )
    assert [(*r["key"].values(), r["deals"]) for r in answer["rows"]] == [
        ("won", "u1", 1),
        ("won", None, 1),
        ("lost", "u2", 1),
    ]
    for wrong in ({"from": "2017-01-01"}, {"to": "2017-01-01"}, {"interval": "day"}):
        refused = await reporting.ask("s3", SNAPSHOT, wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "not_applicable")
    assert (await reporting.ask("s3", SNAPSHOT, {"window": "1d"})).status_code == 422


async def listed(reporting: Reporting, tenant: str, token: str, **params: Any) -> dict[str, Any]:
    """A whole list, page by page."""
    page = await reporting.get(tenant, f"/v1/drill/{token}", limit=2, **params)
    whole, items = page, list(page["items"])
    while page["has_more"]:
        cursor = page["next_cursor"]
        page = await reporting.get(tenant, f"/v1/drill/{token}", limit=2, cursor=cursor, **params)
        items += page["items"]
    return {**whole, "items": items, "ids": [item["deal_id"] for item in items]}


async def test_every_number_lists_exactly_its_deals(reporting: Reporting) -> None:
    await reporting.tenant("d1", B2B)
    await reporting.deals("d1", *DEALS)
    answer = await reporting.get(
        "d1", CONVERSION, interval="month", group_by="owner_id", window="60d"
    )
    for row in [*answer["rows"], answer["total"]]:
        for of in ("n", "won", "lost", "open"):
            found = await listed(reporting, "d1", row["drill"], of=of)
            assert len(found["ids"]) == found["n"] == row[of] == found["n_now"]
            assert found["restated"] is False
        for number, stage in enumerate(row["stages"]):
            asked = {"stage_id": stage["stage_id"]}
            found = await listed(reporting, "d1", row["drill"], of="reached", **asked)
            assert len(found["ids"]) == stage["reached"] == found["n"]
            found = await listed(reporting, "d1", row["drill"], of="from_previous", **asked)
            before = row["stages"][number - 1]["reached"] if number else row["n"]
            assert len(found["ids"]) == found["n"]
            assert stage["from_previous"] == (found["n"] / before if before else None)
    whole = await listed(reporting, "d1", answer["total"]["drill"])
    assert whole["ids"] == ["D-1", "D-2", "D-3", "D-4", "D-5"]
    assert whole["items"][0]["status"] == "won"


async def test_a_snapshot_lists_the_deals_of_each_row(reporting: Reporting) -> None:
    await reporting.tenant("d2", B2B)
    await reporting.deals("d2", *DEALS)
    answer = await reporting.get("d2", SNAPSHOT, group_by="owner_id")
    for row in [*answer["rows"], answer["total"]]:
        found = await listed(reporting, "d2", row["drill"])
        assert len(found["ids"]) == found["n"] == row["deals"]
    refused = await reporting.ask("d2", f"/v1/drill/{answer['total']['drill']}", {"of": "won"})
    assert refused.status_code == 422


async def test_a_list_whose_past_has_changed_says_so(reporting: Reporting) -> None:
    await reporting.tenant("d3", B2B)
    await reporting.deals("d3", *DEALS)
    token = (await reporting.get("d3", CONVERSION))["total"]["drill"]
    late = version(at(24 * 120), [Step(at(3), "reach")], B2B)
    await reporting.deals("d3", DealPast("D-9", (late,)))
    found = await listed(reporting, "d3", token)
    assert (found["restated"], found["n"], found["n_now"], len(found["ids"])) == (True, 5, 6, 5)


async def test_a_list_survives_a_new_order_of_stages(reporting: Reporting) -> None:
    await reporting.tenant("d4", B2B)
    await reporting.deals("d4", *DEALS)
    token = (await reporting.get("d4", CONVERSION))["total"]["drill"]
    await reporting.connection.execute(
        "UPDATE funnel.stages SET position = 10 - position WHERE tenant_id = 'd4'"
    )
    found = await listed(reporting, "d4", token, of="from_previous", stage_id="offer")
    assert (found["n"], len(found["ids"]), found["restated"]) == (3, 3, False)


@pytest.mark.parametrize("token", ["x", "AAAA", "%00", "ü", "A" * 60_000])
async def test_forged_tokens_are_not_there(reporting: Reporting, token: str) -> None:
    tenant = f"d5-{hash(token)}"
    await reporting.tenant(tenant, B2B)
    assert (await reporting.ask(tenant, f"/v1/drill/{token}")).status_code == 404


async def test_tenants_see_nothing_of_each_other(reporting: Reporting) -> None:
    for tenant in ("w1", "w2"):
        await reporting.tenant(tenant, B2B)
    await reporting.deals("w1", *DEALS)
    token = (await reporting.get("w1", CONVERSION))["total"]["drill"]
    assert (await reporting.get("w2", CONVERSION))["total"]["n"] == 0
    assert (await reporting.get("w2", SNAPSHOT))["rows"] == []
    assert (await reporting.ask("w2", f"/v1/drill/{token}")).status_code == 404
    mine = await reporting.get("w1", f"/v1/drill/{token}", limit=1)
    other = (await reporting.get("w2", CONVERSION))["total"]["drill"]
    stolen = await reporting.ask("w2", f"/v1/drill/{other}", {"cursor": mine["next_cursor"]})
    assert (stolen.status_code, stolen.json()["code"]) == (400, "invalid_cursor")


async def test_scopes_are_needed(reporting: Reporting) -> None:
    await reporting.tenant("w3", B2B)
    token = (await reporting.get("w3", CONVERSION))["total"]["drill"]
    metrics = await reporting.key("w3", "metrics:read")
    deals = await reporting.key("w3", "deals:read")
    for path, right, wrong in (
        (CONVERSION, metrics, deals),
        (SNAPSHOT, metrics, deals),
        (f"/v1/drill/{token}", deals, metrics),
    ):
        assert (await reporting.ask("w3", path, key=right)).status_code == 200
        assert (await reporting.ask("w3", path, key=wrong)).status_code == 403
        assert (await reporting.ask("w3", path, key="hw_no_no")).status_code == 401


async def test_an_unchanged_answer_is_304_until_something_changes(reporting: Reporting) -> None:
    await reporting.tenant("e1", B2B)
    await reporting.deals("e1", *DEALS)
    first = await reporting.ask("e1", CONVERSION)
    assert first.headers["cache-control"] == "private, max-age=15"
    tag = {"If-None-Match": first.headers["etag"]}
    assert not tag["If-None-Match"].startswith("W/")
    again = await reporting.ask("e1", CONVERSION, headers=tag)
    assert (again.status_code, again.content, again.headers["etag"]) == (
        304,
        b"",
        first.headers["etag"],
    )
    other = await reporting.ask("e1", CONVERSION, {"window": "1d"}, headers=tag)
    assert other.status_code == 200
    await bump(reporting.connection, "e1")
    assert (await reporting.ask("e1", CONVERSION, headers=tag)).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ingest.tenants SET timezone = 'Asia/Tokyo' WHERE tenant_id = $1",
        "UPDATE funnel.generations SET current = 2 WHERE tenant_id = $1",
        """INSERT INTO funnel.pipelines VALUES ($1, 'b2b', 2, 'B2B', '[]', now(), 'k')""",
    ],
)
async def test_configuration_makes_a_new_version(reporting: Reporting, change: str) -> None:
    tenant = f"e2-{hash(change)}"
    await reporting.tenant(tenant, B2B)
    tag = {"If-None-Match": (await reporting.ask(tenant, SNAPSHOT)).headers["etag"]}
    assert (await reporting.ask(tenant, SNAPSHOT, headers=tag)).status_code == 304
    await reporting.connection.execute(change, tenant)
    assert (await reporting.ask(tenant, SNAPSHOT, headers=tag)).status_code == 200


async def test_a_304_does_not_run_the_measure(reporting: Reporting) -> None:
    await reporting.tenant("e3", B2B)
    tag = {"If-None-Match": (await reporting.ask("e3", SNAPSHOT)).headers["etag"]}
    await reporting.connection.execute("ALTER TABLE funnel.deal_history RENAME TO hidden")
    lock = reporting.connection.transaction()
    try:
        await lock.start()
        await reporting.connection.execute("LOCK TABLE funnel.hidden, funnel.visits")
        assert (await reporting.ask("e3", SNAPSHOT, headers=tag)).status_code == 304
    finally:
        await lock.rollback()
        await reporting.connection.execute("ALTER TABLE funnel.hidden RENAME TO deal_history")


_RUNNING_IMPORT = """INSERT INTO ingest.imports (tenant_id, import_id, state, origin, recorded,
        dry_run, encoding, path, bytes, actor, started_at)
    VALUES ('m1', gen_random_uuid(), 'running', 'crm', 'now', $2, 'identity', 'f', 1, 'k', $1)"""


async def test_the_watermark_is_held_by_a_running_import_but_by_no_dry_run(
    reporting: Reporting,
) -> None:
    await reporting.tenant("m1", B2B)
    assert (await reporting.get("m1", SNAPSHOT))["as_of"]["watermark"] is None
    run = reporting.connection.execute
    await run("INSERT INTO funnel.watermarks VALUES ('deals', $1, now())", at(48))
    assert (await reporting.get("m1", SNAPSHOT))["as_of"]["watermark"] == "2017-01-03T00:00:00Z"
    await run(_RUNNING_IMPORT, at(12), True)
    assert (await reporting.get("m1", SNAPSHOT))["as_of"]["watermark"] == "2017-01-03T00:00:00Z"
    await run(_RUNNING_IMPORT, at(24), False)
    assert (await reporting.get("m1", SNAPSHOT))["as_of"]["watermark"] == "2017-01-02T00:00:00Z"
    await run("DELETE FROM funnel.watermarks")


async def test_what_is_not_built_says_so_whatever_it_is_given(reporting: Reporting) -> None:
    await reporting.tenant("u1", B2B)
    for method, path, _ in UNBUILT:
        if method == "GET":
            filled = path.format(id="g", period="2017-01")
            answer = await reporting.ask("u1", filled, {"threshold": "30d"})
            assert (answer.status_code, answer.json()["code"]) == (422, "not_supported_yet"), path
    assert (await reporting.ask("u1", "/v1/metrics/nonsense")).status_code == 404
    refused = await reporting.ask("u1", "/v1/forecast", key="hw_no_no")
    assert refused.status_code == 401


async def test_definitions_are_where_answers_say(reporting: Reporting) -> None:
    await reporting.tenant("u2", B2B, Pipeline("renewal"))
    answer = await reporting.get("u2", SNAPSHOT, pipeline_id="b2b")
    page, _, anchor = answer["definition"].partition("#")
    found = await reporting.ask("u2", page)
    assert f'id="{anchor}"' in found.text
    assert all(f'id="{name}"' in found.text for name in DEFINITIONS)
