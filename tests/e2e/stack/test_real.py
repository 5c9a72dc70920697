"""The real data through separate processes: the oracle's numbers, as in one process.

Once and in order, and with each event twice and all of them shuffled; see `tests/e2e/real/grid.py`.
"""

from collections.abc import Callable, Iterator
from functools import cache
from time import perf_counter

import pytest

from tests.e2e.real.site import Site
from tests.e2e.real.varying import Part
from tests.e2e.real.varying_maven import Crm
from tests.e2e.stack.launched import Launched
from tests.real import bpic2012, maven
from tests.real.data import file

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.kafka, pytest.mark.timeout(3_600)]
LONG = 2_700
"""Seconds. Shuffled, nearly every event of the loan log folds its deal anew."""
EVERY_LOAN, EVERY_DEAL = 27, 10
WHOLE = pytest.param(1, marks=pytest.mark.scale)


@pytest.fixture
def site(stack: Launched) -> Iterator[Site]:
    opened = Site(stack)
    yield opened
    for client in opened.clients:
        client.close()


@cache
def loans(every: int) -> Part:
    """With the oracle's answers: those of one test serve the others."""
    return Part.read(file(bpic2012.FILE), every)


@cache
def crm(every: int) -> Crm:
    return Crm.read(file(maven.PIPELINE_FILE), every)


@pytest.fixture
def deliver(
    site: Site, record_property: Callable[[str, object], None]
) -> Callable[[str, Part | Crm, bool], None]:
    """Into a new tenant; what differs then fails the test."""

    def delivered(name: str, told: Part | Crm, mixed: bool) -> None:
        set_, begun = bpic2012 if isinstance(told, Part) else maven, perf_counter()
        tenant = site.tenant(name, set_.ZONE, set_.CURRENCY)
        told.define(tenant)
        counts = tenant.import_(told.twice_and_shuffled(5) if mixed else told.events, LONG)
        again = len(told.events) if mixed else 0
        assert (counts["accepted"], counts["duplicates"]) == (len(told.events), again)
        record_property("imported after s", round(perf_counter() - begun))
        tenant.fold(LONG)
        record_property("folded after s", round(perf_counter() - begun))
        assert told.faults(tenant) == []

    return delivered


Deliver = Callable[[str, Part | Crm, bool], None]


@pytest.mark.parametrize("every", [EVERY_DEAL, WHOLE])
def test_the_crm_delivered_twice_and_shuffled(deliver: Deliver, every: int) -> None:
    deliver(f"crm-mixed-{every}", crm(every), True)


@pytest.mark.scale
def test_the_whole_crm(deliver: Deliver) -> None:
    deliver("crm", crm(1), False)


@pytest.mark.parametrize("every", [EVERY_LOAN, WHOLE])
def test_the_loan_log_delivered_twice_and_shuffled(deliver: Deliver, every: int) -> None:
    deliver(f"loans-mixed-{every}", loans(every), True)


@pytest.mark.scale
def test_the_whole_loan_log(deliver: Deliver) -> None:
    deliver("loans", loans(1), False)
