"""The whole loan log, imported once as a user would: every number is that of plain pandas."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import pytest

from tests.e2e.real import comparing, comparing_metrics
from tests.e2e.real.comparing_metrics import Expected
from tests.e2e.real.grid import CLOCKS, EVENTFUL, METRICS, Instant
from tests.e2e.real.grid import LOANS as GRID
from tests.e2e.real.site import Site, Tenant
from tests.real import bpic2012, oracle_bpic
from tests.real.data import file
from tests.real.oracle import Past, Question
from tests.real.oracle_metrics import Asked

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.timeout(1_800)]
LOANS = bpic2012.PIPELINE_ID
END = datetime(2012, 4, 1, tzinfo=UTC)
MOMENTS = (
    datetime(2011, 9, 30, 22, 38, 44, 546_000, tzinfo=UTC),  # of the very first row
    datetime(2011, 9, 30, 22, 38, 44, 879_999, tzinfo=UTC),  # just before the second
    datetime(2011, 10, 13, 8, 37, 29, 226_000, tzinfo=UTC),  # three won stages in one millisecond
    datetime(2011, 10, 30, 1, 30, tzinfo=UTC),  # after the hour that came twice
    datetime(2011, 12, 31, 23, tzinfo=UTC),
    datetime(2012, 2, 15, 12, tzinfo=UTC),
    END,
)
RANGE = (MOMENTS[2], MOMENTS[4])
WEEK = timedelta(days=7)
BEYOND = (
    *(Asked(name, at) for name in EVENTFUL for at in (*MOMENTS[2:4], MOMENTS[5])),
    *(Asked(name, END, None, *RANGE, only={"owner_id": "10138"}) for name in EVENTFUL),
    *(
        Asked("stalled", at, group_by=by, threshold=WEEK, by=clock)
        for at in (MOMENTS[3], MOMENTS[5]) for by in ((), ("owner_id",)) for clock in CLOCKS
    ),
)  # fmt: skip
"""Questions about the metrics that are not in the grid: odd instants, a range, one owner."""


@dataclass
class Loans:
    tenant: Tenant
    table: Any
    past: Past
    expected: Expected
    seconds: dict[str, float]


@pytest.fixture(scope="module")
def loans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loans]:
    path = file(bpic2012.FILE)
    site = Site.open(tmp_path_factory.mktemp("bpic"))
    try:
        tenant = site.tenant("loans", bpic2012.ZONE, bpic2012.CURRENCY)
        tenant.define(LOANS, bpic2012.PIPELINE)
        begun = perf_counter()
        counts = tenant.import_(bpic2012.events(bpic2012.rows(path)), seconds=800)
        imported = perf_counter()
        tenant.fold(800)
        seconds = {"imported": imported - begun, "folded": perf_counter() - begun}
        table = oracle_bpic.log(path)
        assert (counts["rows"], counts["accepted"]) == (len(table), len(table))
        past = oracle_bpic.past(table)
        yield Loans(tenant, table, past, Expected(past), seconds)
    finally:
        site.close()


def test_every_row_is_one_event_of_the_history(
    loans: Loans, record_property: Callable[[str, object], None]
) -> None:
    for name, seconds in loans.seconds.items():
        record_property(f"{name} after s", round(seconds))
    assert (len(loans.table), loans.table.deal.nunique()) == (262_200, 13_087)
    done = {d["deal_id"]: d["activity_count"] for d in loans.tenant.items("/v1/deals")}
    assert comparing.differing(done, oracle_bpic.activities(loans.table)) == []


@pytest.mark.parametrize("known_at", [None, MOMENTS[4]], ids=["all known", "as known at new year"])
@pytest.mark.parametrize("valid_at", MOMENTS[2:], ids=str)
def test_conversion(loans: Loans, valid_at: datetime, known_at: datetime | None) -> None:
    asked = Question(valid_at, known_at)
    assert comparing.conversion(loans.tenant, LOANS, loans.past, asked) == []


@pytest.mark.parametrize(
    "asked",
    [
        Question(END, monthly=True),
        Question(MOMENTS[5], monthly=True, group_by=("owner_id",), credit="current"),
        Question(END, group_by=("owner_id",)),
        Question(END, window=timedelta(days=7), monthly=True),
        Question(END, window=timedelta(0)),
        Question(END, only={"owner_id": "10138"}, credit="current"),
        Question(END, start=MOMENTS[2], end=MOMENTS[4]),
    ],
    ids=["months", "months and owners", "owners", "a week", "no time", "one owner", "a range"],
)
def test_conversion_of_parts(loans: Loans, asked: Question) -> None:
    assert comparing.conversion(loans.tenant, LOANS, loans.past, asked) == []


@pytest.mark.parametrize("valid_at", MOMENTS, ids=str)
def test_snapshot(loans: Loans, valid_at: datetime) -> None:
    assert comparing.snapshot(loans.tenant, LOANS, loans.past, valid_at) == []
    owners = ("owner_id",)
    assert comparing.snapshot(loans.tenant, LOANS, loans.past, valid_at, by=owners) == []
    known_at = valid_at - timedelta(days=3)
    if known_at > MOMENTS[0]:
        found = comparing.snapshot(loans.tenant, LOANS, loans.past, valid_at, known_at, owners)
        assert found == []


@pytest.mark.parametrize("instant", GRID.instants, ids=str)
@pytest.mark.parametrize("metric", METRICS)
def test_metrics(loans: Loans, metric: str, instant: Instant) -> None:
    cells = GRID.cells([metric], [instant])
    assert comparing_metrics.metrics(loans.tenant, LOANS, loans.expected, cells) == []


def test_metrics_beyond_the_grid(loans: Loans) -> None:
    assert comparing_metrics.metrics(loans.tenant, LOANS, loans.expected, BEYOND) == []


def test_visits_and_dwell_of_every_deal(loans: Loans) -> None:
    assert comparing.view_visits(loans.tenant, loans.past) == []
    some = sorted(loans.table.deal.unique())[::27]
    assert comparing.rest_visits(loans.tenant, loans.past, some, END) == []


def test_outcome_of_every_deal(loans: Loans) -> None:
    assert comparing.states(loans.tenant, loans.past) == []


@pytest.mark.parametrize("of", ["won", "open"])  # a page of drill counts all anew: lost has many
def test_the_deals_behind_an_outcome(loans: Loans, of: str) -> None:
    answer = loans.tenant.get("/v1/funnel/conversion", valid_at=END.isoformat())
    listed = loans.tenant.items(f"/v1/drill/{answer['total']['drill']}", of=of)
    last = loans.past.entries.sort_values("n").groupby("deal").stage.last().map(loans.past.stages)
    assert sorted(d["deal_id"] for d in listed) == sorted(last[last == of].index)


def test_rows_of_one_millisecond_keep_their_order(loans: Loans) -> None:
    """Stages of one instant follow each other as the log has them, in every order it has."""
    entries = loans.past.entries.sort_values(["deal", "n"])
    won = entries[entries.stage.isin(bpic2012.WON)]
    tied = won[won.duplicated(["deal", "t"], keep=False)].groupby("deal").stage.agg(tuple)
    assert tied.nunique() >= 6
    visits = loans.tenant.visits()
    for deal, order in tied.items():
        seen = [v["stage_id"] for v in visits[deal] if v["stage_id"] in order]
        assert tuple(seen) == order
