"""The whole Maven CRM set, with accounts, people and products: as plain pandas has it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.real import comparing, comparing_metrics
from tests.e2e.real.comparing_metrics import Expected
from tests.e2e.real.grid import CRM as GRID
from tests.e2e.real.grid import EVENTFUL, METRICS, Instant
from tests.e2e.real.site import Site, Tenant
from tests.real import maven, oracle_maven
from tests.real.data import file
from tests.real.oracle import Past, Question
from tests.real.oracle_metrics import Asked

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.timeout(900)]
HARDWARE = maven.PIPELINE_ID
END = datetime(2018, 1, 1, tzinfo=UTC)
MOMENTS = (
    datetime(2016, 10, 20, tzinfo=UTC),
    datetime(2017, 3, 1, tzinfo=UTC),  # the first closes
    datetime(2017, 6, 30, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2017, 9, 15, tzinfo=UTC),
    END,
)
RANGE = (MOMENTS[1], MOMENTS[3])
MONTH = timedelta(days=30)
BEYOND = (
    *(Asked(name, at) for name in EVENTFUL for at in (*MOMENTS[:2], MOMENTS[3])),
    *(Asked(name, END, None, *RANGE, only={"region": "Japan"}) for name in EVENTFUL),
    *(
        Asked("stalled", at, group_by=by, threshold=MONTH, by=clock)
        for at in (MOMENTS[1], MOMENTS[3]) for clock in ("in_stage", "age")
        for by in ((), ("owner_id",), ("product_line", "region"))
    ),
)  # fmt: skip
"""Questions about the metrics that are not in the grid: early instants, a range, one region."""


@dataclass
class Crm:
    tenant: Tenant
    past: Past
    expected: Expected


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crm]:
    folder = file(maven.PIPELINE_FILE).parent
    site = Site.open(tmp_path_factory.mktemp("maven"))
    try:
        tenant = site.tenant("crm", maven.ZONE, maven.CURRENCY)
        tenant.define(HARDWARE, maven.PIPELINE)
        events = [*maven.context(folder), *maven.opportunities(folder)]
        counts = tenant.import_(events)
        tenant.fold()
        assert counts["accepted"] == len(events)
        past = oracle_maven.past(oracle_maven.pipeline(folder))
        yield Crm(tenant, past, Expected(past))
    finally:
        site.close()


@pytest.mark.parametrize(
    "asked",
    [
        *(Question(moment) for moment in MOMENTS),
        Question(END, known_at=MOMENTS[2]),
        Question(END, monthly=True),
        Question(END, monthly=True, group_by=("region",)),
        Question(END, group_by=("owner_id",)),
        Question(END, group_by=("product_line", "team_id")),
        Question(END, group_by=("industry",), credit="current"),
        Question(END, window=timedelta(days=30)),
        Question(END, only={"region": "Philipines"}),
        Question(END, only={"product_line": "GTX Pro"}, monthly=True, group_by=("team_id",)),
    ],
)
def test_conversion(crm: Crm, asked: Question) -> None:
    assert comparing.conversion(crm.tenant, HARDWARE, crm.past, asked) == []


@pytest.mark.parametrize("by", [(), ("owner_id",), ("region", "product_line"), ("team_id",)])
@pytest.mark.parametrize("valid_at", MOMENTS, ids=str)
def test_snapshot(crm: Crm, valid_at: datetime, by: tuple[str, ...]) -> None:
    assert comparing.snapshot(crm.tenant, HARDWARE, crm.past, valid_at, by=by) == []


@pytest.mark.parametrize("instant", GRID.instants, ids=str)
@pytest.mark.parametrize("metric", METRICS)
def test_metrics(crm: Crm, metric: str, instant: Instant) -> None:
    cells = GRID.cells([metric], [instant])
    assert comparing_metrics.metrics(crm.tenant, HARDWARE, crm.expected, cells) == []


def test_metrics_beyond_the_grid(crm: Crm) -> None:
    assert comparing_metrics.metrics(crm.tenant, HARDWARE, crm.expected, BEYOND) == []


def test_visits_and_dwell_of_every_deal(crm: Crm) -> None:
    assert comparing.view_visits(crm.tenant, crm.past) == []
    some = sorted(crm.past.entries.deal.unique())[::44]
    assert comparing.rest_visits(crm.tenant, crm.past, some, END) == []


def test_outcome_and_value_of_every_deal(crm: Crm) -> None:
    assert comparing.states(crm.tenant, crm.past) == []
    values = crm.past.value("amount", END).to_dict()
    deals = crm.tenant.items("/v1/deals")
    found = {deal["deal_id"]: float(deal["amount"]["amount"]) for deal in deals}
    assert comparing.differing(found, values) == []


def test_a_parent_account_is_told(crm: Crm) -> None:
    account = crm.tenant.get("/v1/accounts/Bluth Company")
    assert account["parent_id"] == "Acme Corporation"
