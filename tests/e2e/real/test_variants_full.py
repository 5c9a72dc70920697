"""The whole loan log in ways that must not matter: twice, in small batches, shuffled, rebuilt."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import pytest

from tests.e2e.real.site import Site, Tenant
from tests.e2e.real.varying import LOANS, Part, rebuilt
from tests.real import bpic2012
from tests.real.data import file

pytestmark = [
    pytest.mark.e2e, pytest.mark.postgres, pytest.mark.scale, pytest.mark.timeout(3_600),
]  # fmt: skip
LONG = 2_700
"""Seconds. Shuffled, nearly every event folds its deal anew: 23 minutes where nothing else runs."""


@pytest.fixture(scope="module")
def whole() -> Part:
    return Part.read(file(bpic2012.FILE))


@dataclass
class Diary:
    """When each step was done, as findings of the test."""

    record: Callable[[str, object], None]
    begun: float = field(default_factory=perf_counter)

    def note(self, what: str) -> None:
        self.record(f"{what} after s", round(perf_counter() - self.begun))


@pytest.fixture
def diary(record_property: Callable[[str, object], None]) -> Diary:
    return Diary(record_property)


@pytest.fixture
def records() -> str:
    return "2000"


@pytest.fixture
def lender(tmp_path: Path, records: str) -> Iterator[Tenant]:
    site = Site.open(tmp_path, HEADWAY_FUNNEL_BATCH_RECORDS=records)
    try:
        tenant = site.tenant("loans", bpic2012.ZONE, bpic2012.CURRENCY)
        tenant.define(LOANS, bpic2012.PIPELINE)
        yield tenant
    finally:
        site.close()


def test_shuffled_and_rebuilt(lender: Tenant, whole: Part, diary: Diary) -> None:
    counts = lender.import_(whole.shuffled(7), LONG)
    assert (counts["accepted"], counts["duplicates"]) == (262_200, 0)
    diary.note("imported, shuffled")
    lender.fold(LONG)
    diary.note("folded")
    assert whole.faults(lender) == []
    rebuilt(lender, LONG)
    diary.note("rebuilt")
    assert whole.faults(lender) == []


@pytest.mark.parametrize("records", ["100"])
def test_every_delivery_twice_in_small_batches(
    lender: Tenant, whole: Part, diary: Diary, records: str
) -> None:
    counts = lender.import_(whole.twice(), LONG)
    assert (counts["accepted"], counts["duplicates"]) == (262_200, 262_200)
    diary.note("imported, every row twice")
    lender.fold(LONG)
    diary.note(f"folded by {records}")
    assert whole.faults(lender) == []
