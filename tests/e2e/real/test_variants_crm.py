"""The CRM set delivered in ways that must not matter: each event twice, and shuffled.

Accounts and people are shuffled among the deals. See `varying_maven` for why no order matters.
"""

from functools import cache

import pytest

from tests.e2e.real.site import Site
from tests.e2e.real.varying_maven import Crm
from tests.real import maven
from tests.real.data import file

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.timeout(1_800)]
LONG = 900
EVERY = pytest.mark.parametrize("every", [10, pytest.param(1, marks=pytest.mark.scale)])


@cache
def crm(every: int) -> Crm:
    """With the oracle's answers: those of one test serve the others."""
    return Crm.read(file(maven.PIPELINE_FILE), every)


@EVERY
@pytest.mark.parametrize("way", ["twice", "shuffled"])
def test_the_crm(site: Site, every: int, way: str) -> None:
    told = crm(every)
    events = {"twice": told.twice(), "shuffled": told.shuffled(11)}[way]
    tenant = site.tenant(f"{way}-{every}", maven.ZONE, maven.CURRENCY)
    told.define(tenant)
    counts = tenant.import_(events, LONG)
    again = len(events) - len(told.events)
    assert (counts["accepted"], counts["duplicates"]) == (len(told.events), again)
    tenant.fold(LONG)
    assert told.faults(tenant) == []
