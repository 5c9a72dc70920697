"""A fixed part of the real data, delivered in every way that must not matter."""

from pathlib import Path

import pytest

from tests.e2e.real.site import Site, Tenant
from tests.e2e.real.varying import LOANS, Part, rebuilt
from tests.e2e.real.varying_maven import Crm
from tests.real import bpic2012, maven
from tests.real.data import file

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.timeout(900)]
EVERY_LOAN, EVERY_DEAL = 27, 10


@pytest.fixture(scope="module")
def part() -> Part:
    return Part.read(file(bpic2012.FILE), EVERY_LOAN)


def lender(site: Site, name: str) -> Tenant:
    tenant = site.tenant(name, bpic2012.ZONE, bpic2012.CURRENCY)
    tenant.define(LOANS, bpic2012.PIPELINE)
    return tenant


def test_every_delivery_twice_and_the_file_again(site: Site, part: Part) -> None:
    tenant = lender(site, "twice")
    first = tenant.import_(part.twice())
    assert (first["accepted"], first["duplicates"]) == (len(part.events), len(part.events))
    again = tenant.import_(part.events)
    assert (again["accepted"], again["duplicates"]) == (0, len(part.events))
    tenant.fold()
    assert part.faults(tenant) == []


def test_shuffled_and_then_rebuilt(site: Site, part: Part) -> None:
    tenant = lender(site, "shuffled")
    tenant.import_(part.shuffled(1))
    tenant.fold()
    assert part.faults(tenant) == []
    rebuilt(tenant)
    assert part.faults(tenant) == []


def test_backwards_in_two_files(site: Site, part: Part) -> None:
    """The second half of the log first, each file from its end: nearly every event comes late."""
    tenant, middle = lender(site, "backwards"), len(part.events) // 2
    for half in (part.events[middle:], part.events[:middle]):
        tenant.import_(half[::-1])
        tenant.fold()
    assert part.faults(tenant) == []


@pytest.mark.parametrize("records", ["11", "20000"])
def test_batch_sizes(tmp_path: Path, part: Part, records: str) -> None:
    site = Site.open(tmp_path, HEADWAY_FUNNEL_BATCH_RECORDS=records)
    try:
        tenant = lender(site, "batches")
        tenant.import_(part.shuffled(3))
        tenant.fold()
        assert part.faults(tenant) == []
    finally:
        site.close()


@pytest.fixture(scope="module")
def crm() -> Crm:
    return Crm.read(file(maven.PIPELINE_FILE), EVERY_DEAL)


@pytest.mark.parametrize("order", ["accounts first", "deals first", "mixed"])
def test_deals_before_or_after_their_accounts(site: Site, crm: Crm, order: str) -> None:
    context, deals = list(crm.context), list(crm.deals)
    files = {
        "accounts first": [context, deals], "deals first": [deals, context],
        "mixed": [deals[::2] + context + deals[1::2]],
    }[order]  # fmt: skip
    tenant = site.tenant(order.replace(" ", "-"), maven.ZONE, maven.CURRENCY)
    crm.define(tenant)
    for events in files:
        tenant.import_(events)
        tenant.fold()
    assert crm.faults(tenant) == []
    rebuilt(tenant)
    assert crm.faults(tenant) == []
