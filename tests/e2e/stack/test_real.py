"""The real data through separate processes: the oracle's numbers, as in one process."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.real import comparing_metrics
from tests.e2e.real.site import Site
from tests.e2e.real.varying import EVENTFUL, LOANS, Part
from tests.e2e.real.varying_maven import maven_faults
from tests.e2e.stack.launched import Launched
from tests.real import bpic2012, maven, oracle_maven
from tests.real.data import file
from tests.real.oracle_metrics import Asked

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.kafka, pytest.mark.timeout(2_400)]
LONG = 1_500
MOMENTS = (
    datetime(2017, 3, 1, tzinfo=UTC),  # the first closes
    datetime(2017, 6, 30, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2017, 9, 15, tzinfo=UTC),
)
METRICS = (
    *(Asked(name, at) for name in EVENTFUL for at in MOMENTS),
    *(Asked(name, MOMENTS[2], monthly=True, group_by=("product_line",)) for name in EVENTFUL),
    *(Asked("stalled", at, threshold=timedelta(days=30), group_by=("region",)) for at in MOMENTS),
)


@pytest.fixture
def site(stack: Launched) -> Iterator[Site]:
    opened = Site(stack)
    yield opened
    for client in opened.clients:
        client.close()


@pytest.mark.parametrize("every", [10, pytest.param(1, marks=pytest.mark.scale)])
def test_the_crm_delivered_twice_and_shuffled(site: Site, every: int) -> None:
    folder = file(maven.PIPELINE_FILE).parent
    deals = maven.opportunities(folder, every)
    events = [*maven.context(folder), *deals]
    mixed = [*events, *events]
    random.Random(5).shuffle(mixed)
    tenant = site.tenant(f"crm-{every}", maven.ZONE, maven.CURRENCY)
    tenant.define(maven.PIPELINE_ID, maven.PIPELINE)
    counts = tenant.import_(mixed)
    assert (counts["accepted"], counts["duplicates"]) == (len(events), len(events))
    tenant.fold()
    table = oracle_maven.pipeline(folder, {event["data"]["deal_id"] for event in deals})
    past = oracle_maven.past(table)
    assert maven_faults(tenant, past) == []
    for asked in METRICS:
        assert comparing_metrics.metric(tenant, maven.PIPELINE_ID, past, asked) == [], asked


@pytest.mark.scale
def test_the_whole_loan_log(site: Site) -> None:
    whole = Part.read(file(bpic2012.FILE))
    tenant = site.tenant("loans", bpic2012.ZONE, bpic2012.CURRENCY)
    tenant.define(LOANS, bpic2012.PIPELINE)
    tenant.import_(whole.events, LONG)
    tenant.fold(LONG)
    assert whole.faults(tenant) == []
