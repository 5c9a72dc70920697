"""GET /v1/funnel/conversion as clients see it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.reporting.conftest import Reporting
from tests.integration.reporting.histories import DealPast, Pipeline, Step, at, version

pytestmark = pytest.mark.postgres
B2B = Pipeline(targets={"offer": Decimal("0.5")})
PATH = "/v1/funnel/conversion"


def deal(deal_id: str, *steps: tuple[float, str], **facts: Any) -> DealPast:
    """A deal known from the start that enters stages at hours since 2017-01-01."""
    entries = [Step(at(hour), stage, facts=tuple(facts.items())) for hour, stage in steps]
    return DealPast(deal_id, (version(at(0), entries, B2B),))


DEALS = (
    deal("D-1", (0, "reach"), (24, "offer"), (48, "won"), owner_id="u1"),
    deal("D-2", (10, "reach"), (24 * 40, "offer"), owner_id="u1"),
    deal("D-3", (20, "reach"), (30, "lost"), owner_id="u2"),
    deal("D-4", (24 * 40, "reach"), (24 * 41, "offer")),
    deal("D-5", (24 * 100, "reach")),
    deal("D-6", (5, "offer"), (6, "won")),
)


async def test_a_cohort_says_who_came_how_far(reporting: Reporting) -> None:
    await reporting.tenant("c1", B2B)
    await reporting.deals("c1", *DEALS)
    answer = await reporting.get("c1", PATH)
    (row,) = answer["rows"]
    assert (row["key"], row["n"], row["won"], row["lost"], row["open"]) == ({}, 5, 1, 1, 3)
    assert (row["value"], row["low_n"], row["mature"]) == (0.2, True, False)
    assert row["low"] == pytest.approx(0.0362, abs=1e-4)
    assert row["high"] == pytest.approx(0.6245, abs=1e-4)
    assert [(s["stage_id"], s["reached"], s["from_first"]) for s in row["stages"]] == [
        ("reach", 5, 1.0),
        ("offer", 3, 0.6),
        ("won", 1, 0.2),
        ("late", 0, 0.0),
    ]
    assert [s["from_previous"] for s in row["stages"]] == [1.0, 0.6, pytest.approx(1 / 3), 0.0]
    assert row["stages"][1]["target"] == 0.5
    assert {k: v for k, v in answer["total"].items() if k != "drill"} == {
        k: v for k, v in row.items() if k not in ("key", "drill")
    }
    assert answer["definition"] == "http://headway/docs/metrics#conversion"


async def test_the_window_bounds_stages_and_outcomes_alike(reporting: Reporting) -> None:
    await reporting.tenant("c2", B2B)
    await reporting.deals("c2", *DEALS)
    answer = await reporting.get("c2", PATH, window="24h")
    (row,) = answer["rows"]
    assert (row["n"], row["won"], row["lost"]) == (5, 0, 1)
    assert row["stages"][1]["reached"] == 2  # D-1 and D-4 after exactly 24 hours
    assert answer["params"]["window"] == "P1D"


async def test_periods_are_listed_with_zeros_and_maturity(reporting: Reporting) -> None:
    await reporting.tenant("c3", B2B)
    await reporting.deals("c3", *DEALS)
    answer = await reporting.get("c3", PATH, interval="month", window="30d")
    found = {row["key"]["period"]: (row["n"], row["mature"]) for row in answer["rows"]}
    assert found == {
        "2017-01": (3, True),
        "2017-02": (1, True),
        "2017-03": (0, True),
        "2017-04": (1, True),
    }
    empty = answer["rows"][2]
    assert (empty["value"], empty["low"], empty["null_reason"]) == (None, None, "zero_denominator")
    assert empty["stages"][1]["from_first"] is None
    assert answer["total"]["n"] == 5


async def test_dates_are_days_of_the_tenants_zone(reporting: Reporting) -> None:
    await reporting.tenant("c4", B2B, timezone="America/New_York")
    await reporting.deals("c4", *DEALS)
    asked = {"from": "2016-12-31", "to": "2017-01-02", "interval": "day"}
    answer = await reporting.get("c4", PATH, **asked)
    assert [(r["key"]["period"], r["n"]) for r in answer["rows"]] == [
        ("2016-12-31", 1),
        ("2017-01-01", 2),
    ]
    assert answer["params"]["from"] == "2016-12-31T05:00:00Z"
    moved = await reporting.get("c4", PATH, **asked, tz="UTC")
    assert [(r["key"]["period"], r["n"]) for r in moved["rows"]] == [
        ("2016-12-31", 0),
        ("2017-01-01", 3),
    ]


async def test_weeks_and_quarters_follow_the_tenants_calendar(reporting: Reporting) -> None:
    await reporting.tenant("c5", B2B, week_start="sunday", fiscal_year_start_month=4)
    await reporting.deals("c5", *DEALS)
    quarters = await reporting.get("c5", PATH, interval="quarter")
    assert [(r["key"]["period"], r["n"]) for r in quarters["rows"]] == [
        ("2016-Q4", 4),
        ("2017-Q1", 1),
    ]
    weeks = await reporting.get("c5", PATH, interval="week", to="2017-01-08")
    assert [(r["key"]["period"], r["n"]) for r in weeks["rows"]] == [("2017-W01", 3)]


async def test_keys_cross_periods_and_null_is_a_key(reporting: Reporting) -> None:
    await reporting.tenant("c6", B2B)
    await reporting.deals("c6", *DEALS)
    answer = await reporting.get("c6", PATH, interval="quarter", group_by="owner_id")
    assert [(*r["key"].values(), r["n"]) for r in answer["rows"]] == [
        ("2017-Q1", "u1", 2),
        ("2017-Q1", "u2", 1),
        ("2017-Q1", None, 1),
        ("2017-Q2", "u1", 0),
        ("2017-Q2", "u2", 0),
        ("2017-Q2", None, 1),
    ]


async def test_credit_goes_to_the_owner_then_or_now(reporting: Reporting) -> None:
    await reporting.tenant("c7", B2B)
    steps = [
        Step(at(0), "reach", facts=(("owner_id", "u1"),)),
        Step(at(9), facts=(("owner_id", "u2"),)),
    ]
    await reporting.deals("c7", DealPast("D-1", (version(at(0), steps, B2B),)))
    then = await reporting.get("c7", PATH, group_by="owner_id")
    now = await reporting.get("c7", PATH, group_by="owner_id", credit="current")
    assert then["rows"][0]["key"] == {"owner_id": "u1"}
    assert now["rows"][0]["key"] == {"owner_id": "u2"}
    assert (await reporting.get("c7", PATH, owner_id="u2"))["total"]["n"] == 0
    assert (await reporting.get("c7", PATH, owner_id="u2", credit="current"))["total"]["n"] == 1


async def test_repeating_with_the_echoed_instants_gives_the_same_numbers(
    reporting: Reporting,
) -> None:
    await reporting.tenant("c8", B2B)
    late = version(at(24 * 110), [Step(at(0), "reach"), Step(at(1), "lost")], B2B)
    first = DealPast("D-0", (*deal("D-0", (0, "reach"), (1, "won")).versions, late))
    await reporting.deals("c8", *DEALS, first)
    before = await reporting.get("c8", PATH, interval="month")
    later = version(at(24 * 120), [Step(at(2), "reach"), Step(at(3), "won")], B2B)
    await reporting.deals("c8", DealPast("D-9", (later,)))
    echoed = {k: before["as_of"][k] for k in ("valid_at", "known_at")}
    again = await reporting.get("c8", PATH, interval="month", **echoed)
    drop = {"drill"}
    assert _without(again["rows"], drop) == _without(before["rows"], drop)
    assert again["as_of"]["known_at"] == before["as_of"]["known_at"]
    assert (await reporting.get("c8", PATH))["total"]["n"] == before["total"]["n"] + 1


def _without(rows: list[dict[str, Any]], names: set[str]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in names} for row in rows]


async def test_valid_at_defaults_to_now_in_steps_of_15_seconds(reporting: Reporting) -> None:
    await reporting.tenant("c9", B2B)
    answer = await reporting.get("c9", PATH)
    assert answer["as_of"]["valid_at"] == "2017-06-01T12:00:00Z"
    assert (answer["rows"][0]["n"], answer["total"]["value"]) == (0, None)


async def test_a_sandbox_reads_its_own_clock_exactly(reporting: Reporting) -> None:
    await reporting.tenant("c10", B2B, sandbox=True)
    await reporting.connection.execute(
        "INSERT INTO alerts.clock VALUES ('c10', $1, now())", at(1) + timedelta(seconds=7)
    )
    answer = await reporting.get("c10", PATH)
    assert answer["as_of"]["valid_at"] == "2017-01-01T01:00:07Z"


async def test_a_pipeline_is_required_where_there_are_several(reporting: Reporting) -> None:
    await reporting.tenant("c11", B2B, Pipeline("renewal"))
    answer = await reporting.ask("c11", PATH)
    assert (answer.status_code, answer.json()["code"]) == (422, "pipeline_required")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await reporting.get("c11", PATH, pipeline_id="renewal"))["total"]["n"] == 0


async def test_a_tenant_without_pipelines_has_an_empty_answer(reporting: Reporting) -> None:
    await reporting.tenant("c12")
    answer = await reporting.get("c12", PATH, interval="month")
    assert (answer["rows"], answer["total"]["n"]) == ([], 0)
    assert answer["total"]["stages"] == []


@pytest.mark.parametrize(
    ("asked", "code", "parameter"),
    [
        ({"mode": "strict"}, "not_supported_yet", None),
        ({"idle_gte": "3d"}, "not_supported_yet", None),
        ({"mode": "sideways"}, "invalid_parameter", "mode"),
        ({"window": "soon"}, "invalid_parameter", "window"),
        ({"window": "P99999D"}, "invalid_parameter", "window"),
        ({"from": "2017-02-30"}, "invalid_parameter", "from"),
        ({"from": "1000-01-01"}, "invalid_parameter", "from"),
        ({"from": "2017-02-02", "to": "2017-02-01"}, "empty_range", "to"),
        ({"from": "1990-01-01", "to": "2017-01-01", "interval": "day"},
         "too_many_periods", "interval"),
        ({"interval": "fortnight"}, "invalid_parameter", "interval"),
        ({"group_by": "owner_id,region,team_id"}, "invalid_group_by", "group_by"),
        ({"group_by": "password"}, "invalid_group_by", "group_by"),
        ({"group_by": "attributes."}, "invalid_group_by", "group_by"),
        ({"group_by": "stage_id"}, "not_applicable", "group_by"),
        ({"first_stage": "nowhere"}, "unknown_stage", "first_stage"),
        ({"pipeline_id": "nowhere"}, "unknown_pipeline", "pipeline_id"),
        ({"tz": "../etc/passwd"}, "invalid_parameter", "tz"),
        ({"owner_id": "a\x00b"}, "invalid_parameter", "owner_id"),
        ({"q": "\x00"}, "invalid_parameter", "q"),
        ({"first_stage": ""}, "invalid_parameter", "first_stage"),
        ({"status": "asleep"}, "invalid_parameter", "status"),
        ({"amount_gte": "NaN"}, "invalid_parameter", "amount_gte"),
        ({"currency": "XXQ"}, "invalid_parameter", "currency"),
        ({"valid_at": "yesterday"}, "invalid_parameter", "valid_at"),
        ({"valid_at": "9999-12-31T23:59:59-12:00"}, "invalid_parameter", "valid_at"),
        ({"surprise": "1"}, "unknown_parameter", "surprise"),
    ],
)  # fmt: skip
async def test_bad_questions_are_refused_precisely(
    reporting: Reporting, asked: dict[str, str], code: str, parameter: str | None
) -> None:
    tenant = f"c13-{hash(str(asked))}"
    await reporting.tenant(tenant, B2B)
    answer = await reporting.ask(tenant, PATH, asked)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code)
    assert [e.get("parameter") for e in problem["errors"]] == ([parameter] if parameter else [])


async def test_every_filter_is_heard(reporting: Reporting) -> None:
    await reporting.tenant("c14", B2B)
    rich = {"amount": Decimal("500"), "name": "50% off_x", "region": "north", "currency": "EUR"}
    await reporting.deals("c14", *DEALS, deal("D-7", (7, "reach"), **rich))
    for asked in (
        {"region": "north"},
        {"amount_gte": "500"},
        {"amount_lte": "500.00"},
        {"q": "50% OFF_"},
        {"created_from": "2017-01-01T07:00:00Z", "created_to": "2017-01-01T08:00:00Z"},
        {"region": ["north", "south"], "stage_id": "reach", "status": "open"},
    ):
        assert (await reporting.get("c14", PATH, **asked))["total"]["n"] == 1, asked
    for asked in ({"q": "50_"}, {"closed_from": "2017-01-01"}, {"in_stage_gte": "1h"}):
        assert (await reporting.get("c14", PATH, **asked))["total"]["n"] == 0, asked
    current = await reporting.get("c14", PATH, in_stage_gte="50d", credit="current")
    assert current["total"]["n"] == 6
