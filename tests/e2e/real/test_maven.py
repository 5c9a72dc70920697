"""The whole Maven CRM set, with accounts, people and products: as plain pandas has it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.real import comparing, comparing_metrics
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


@dataclass
class Crm:
    tenant: Tenant
    past: Past


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
        yield Crm(tenant, oracle_maven.past(oracle_maven.pipeline(folder)))
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


CLOSED = ("win_rate", "sales_cycle", "deal_size", "loss_reasons")


@pytest.mark.parametrize("metric", [*CLOSED, "dwell", "flow"])
@pytest.mark.parametrize(
    "how",
    [
        *({"valid_at": moment} for moment in MOMENTS),
        {"valid_at": END, "known_at": MOMENTS[2]},
        {"valid_at": END, "monthly": True},
        {"valid_at": END, "monthly": True, "group_by": ("region",)},
        {"valid_at": END, "group_by": ("owner_id",)},
        {"valid_at": END, "group_by": ("product_line", "team_id")},
        {"valid_at": END, "group_by": ("industry",), "credit": "current"},
        {"valid_at": END, "start": MOMENTS[1], "end": MOMENTS[3], "only": {"region": "Japan"}},
    ],
    ids=lambda how: " ".join(f"{name}={value}" for name, value in how.items()),
)
def test_metrics(crm: Crm, metric: str, how: dict[str, Any]) -> None:
    asked = Asked(metric, **how)
    assert comparing_metrics.metric(crm.tenant, HARDWARE, crm.past, asked) == []


@pytest.mark.parametrize("by", ["in_stage", "age"])
@pytest.mark.parametrize("valid_at", MOMENTS[1:], ids=str)
def test_stalled(crm: Crm, valid_at: datetime, by: str) -> None:
    for group_by in ((), ("owner_id",), ("product_line", "region")):
        month = timedelta(days=30)
        asked = Asked("stalled", valid_at, threshold=month, by=by, group_by=group_by)
        assert comparing_metrics.metric(crm.tenant, HARDWARE, crm.past, asked) == []


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
