"""What the metrics refuse, whom they answer, and when they say that nothing has changed."""

import pytest

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.histories import bump
from tests.integration.reporting.metric_histories import B2B, closed, days, listed, metric, past

pytestmark = pytest.mark.postgres
PATHS = {
    **{
        name: f"/v1/metrics/{name}"
        for name in ("win_rate", "sales_cycle", "deal_size", "loss_reasons", "dwell", "stalled")
    },
    "flow": "/v1/funnel/flow",
}
DEALS = (
    *(closed(f"W-{n}", 5 * n, owner_id=f"u{n % 3}") for n in range(1, 8)),
    *(
        past(f"L-{n}", (0, "reach"), (24, "offer"), (days(6 * n), "lost", {"lost_reason": reason}))
        for n, reason in enumerate(("price", "fit", None, "price"), 1)
    ),
    *(past(f"O-{n}", (days(n), "reach", {"owner_id": f"u{n}"}), (99, "offer")) for n in range(3)),
)


@pytest.mark.parametrize("name", PATHS)
async def test_every_cell_lists_exactly_its_deals(reporting: Reporting, name: str) -> None:
    tenant = f"mw1-{name}"
    await reporting.tenant(tenant, B2B, timezone="Asia/Kolkata")
    await reporting.deals(tenant, *DEALS)
    period = {} if name == "stalled" else {"interval": "month", "to": "2017-02-20"}
    answer = await metric(reporting, tenant, name, group_by="owner_id", **period)
    assert answer["total"]["n"] > 0
    assert len(answer["rows"]) > 1
    seen: set[str] = set()
    for row in answer["rows"]:
        ids = await listed(reporting, tenant, row["drill"])
        assert len(set(ids)) == len(ids) == row["n"], row["key"]
        seen |= set(ids)
        for of in ("won", "lost") if name == "win_rate" else ():
            assert len(await listed(reporting, tenant, row["drill"], of=of)) == row[of]
    assert sorted(seen) == await listed(reporting, tenant, answer["total"]["drill"])


@pytest.mark.parametrize("name", PATHS)
async def test_tenants_see_nothing_of_each_other(reporting: Reporting, name: str) -> None:
    mine, other = f"mw2-{name}", f"mw3-{name}"
    for tenant in (mine, other):
        await reporting.tenant(tenant, B2B)
    await reporting.deals(mine, *DEALS)
    answer = await metric(reporting, mine, name)
    assert answer["total"]["n"] > 0
    assert (await metric(reporting, other, name))["total"]["n"] == 0
    stolen = await reporting.ask(other, f"/v1/drill/{answer['total']['drill']}")
    assert (stolen.status_code, stolen.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", PATHS)
async def test_scopes_are_needed(reporting: Reporting, name: str) -> None:
    tenant = f"mw4-{name}"
    await reporting.tenant(tenant, B2B)
    for key, status in (
        (await reporting.key(tenant, "metrics:read"), 200),
        (await reporting.key(tenant, "deals:read"), 403),
        ("hw_no_no", 401),
    ):
        assert (await reporting.ask(tenant, PATHS[name], key=key)).status_code == status


@pytest.mark.parametrize("name", PATHS)
async def test_an_unchanged_answer_is_304_until_something_changes(
    reporting: Reporting, name: str
) -> None:
    tenant, path = f"mw5-{name}", PATHS[name]
    await reporting.tenant(tenant, B2B)
    first = await reporting.ask(tenant, path)
    assert first.headers["cache-control"] == "private, max-age=15"
    tag = {"If-None-Match": first.headers["etag"]}
    again = await reporting.ask(tenant, path, headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    other = await reporting.ask(tenant, path, {"group_by": "owner_id"}, headers=tag)
    assert other.status_code == 200
    other_path = PATHS["dwell" if name == "flow" else "flow"]
    assert (await reporting.ask(tenant, other_path, headers=tag)).status_code == 200
    await bump(reporting.connection, tenant)
    assert (await reporting.ask(tenant, path, headers=tag)).status_code == 200


@pytest.mark.parametrize(
    ("name", "asked", "code", "parameter"),
    [
        *((name, {"surprise": "1"}, "unknown_parameter", "surprise") for name in PATHS),
        *((name, {"group_by": "lost_reason"}, "invalid_group_by", "group_by") for name in PATHS),
        *((name, {"idle_gte": "3d"}, "not_supported_yet", None) for name in PATHS),
        *(
            (name, {"group_by": "stage_id"}, "not_applicable", "group_by")
            for name in ("win_rate", "sales_cycle", "deal_size", "loss_reasons")
        ),
        ("win_rate", {"threshold": "30d"}, "unknown_parameter", "threshold"),
        ("win_rate", {"credit": "nobody"}, "invalid_parameter", "credit"),
        ("win_rate", {"from": "2017-02-01", "to": "2017-02-01"}, "empty_range", "to"),
        ("win_rate", {"pipeline_id": "nowhere"}, "unknown_pipeline", "pipeline_id"),
        ("sales_cycle", {"by": "age"}, "unknown_parameter", "by"),
        ("flow", {"time": "wall"}, "unknown_parameter", "time"),
        ("dwell", {"time": "working"}, "not_supported_yet", None),
        ("dwell", {"time": "night"}, "invalid_parameter", "time"),
        ("stalled", {"from": "2017-01-01"}, "not_applicable", "from"),
        ("stalled", {"to": "2017-01-01"}, "not_applicable", "to"),
        ("stalled", {"interval": "month"}, "not_applicable", "interval"),
        ("stalled", {"by": "mood"}, "invalid_parameter", "by"),
        ("stalled", {"threshold": "long"}, "invalid_parameter", "threshold"),
        ("stalled", {"threshold": ""}, "invalid_parameter", "threshold"),
        ("stalled", {"threshold": "200000d"}, "invalid_parameter", "threshold"),
    ],
)
async def test_bad_questions_are_refused_precisely(
    reporting: Reporting, name: str, asked: dict[str, str], code: str, parameter: str | None
) -> None:
    tenant = f"mw6-{hash((name, *asked.items()))}"
    await reporting.tenant(tenant, B2B)
    answer = await reporting.ask(tenant, PATHS[name], asked)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code)
    assert [e.get("parameter") for e in problem["errors"]] == ([parameter] if parameter else [])


@pytest.mark.parametrize(
    ("of", "code"), [({"of": "open"}, "invalid_value"), ({"stage_id": "reach"}, "not_applicable")]
)
async def test_lists_of_numbers_that_a_metric_lacks_are_refused(
    reporting: Reporting, of: dict[str, str], code: str
) -> None:
    tenant = f"mw7-{code}"
    await reporting.tenant(tenant, B2B)
    for name in PATHS:
        token = (await metric(reporting, tenant, name))["total"]["drill"]
        answer = await reporting.ask(tenant, f"/v1/drill/{token}", of)
        assert (answer.status_code, answer.json()["code"]) == (422, code), name


async def test_what_is_not_built_or_not_there_says_so(reporting: Reporting) -> None:
    await reporting.tenant("mw8", B2B)
    for path in ("metrics/velocity", "metrics/win_rate/explain", "metrics/push_count"):
        answer = await reporting.ask("mw8", f"/v1/{path}", {"from": "2017-01-01"})
        assert (answer.status_code, answer.json()["code"]) == (422, "not_supported_yet"), path
    for path in ("metrics/nonsense", "metrics/flow", "metrics/win_rate/nonsense"):
        assert (await reporting.ask("mw8", f"/v1/{path}")).status_code == 404, path


@pytest.mark.parametrize("name", PATHS)
async def test_params_say_what_was_applied(reporting: Reporting, name: str) -> None:
    tenant = f"mw9-{name}"
    await reporting.tenant(tenant, B2B, timezone="Europe/Berlin")
    answer = await metric(reporting, tenant, name, region=["north", "south"], credit="current")
    params = answer["params"]
    assert (params["pipeline_id"], params["tz"], params["credit"]) == (
        "b2b", "Europe/Berlin", "current",
    )  # fmt: skip
    assert (params["region"], params["currency"], params["fx"]) == (
        ["north", "south"], "EUR", "close",
    )  # fmt: skip
    assert params["valid_at"] == answer["as_of"]["valid_at"] == "2017-06-01T12:00:00Z"
    assert answer["definition"].endswith(f"/docs/metrics#{name}")
    page = await reporting.ask(tenant, "/docs/metrics")
    assert f'id="{name}"' in page.text
