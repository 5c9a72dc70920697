"""The whole loan log, every delivery twice and all of it shuffled, then rebuilt."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest

from tests.e2e.real.site import Site
from tests.e2e.real.varying import LOANS, Part, rebuilt
from tests.real import bpic2012
from tests.real.data import file

pytestmark = [
    pytest.mark.e2e, pytest.mark.postgres, pytest.mark.scale, pytest.mark.timeout(3_000),
]  # fmt: skip


@pytest.fixture(scope="module")
def whole() -> Part:
    return Part.read(file(bpic2012.FILE))


@pytest.mark.parametrize("records", ["500", "2000"])
def test_twice_shuffled_and_rebuilt(
    tmp_path: Path, whole: Part, records: str, record_property: Callable[[str, object], None]
) -> None:
    site = Site.open(tmp_path, HEADWAY_FUNNEL_BATCH_RECORDS=records)
    begun = perf_counter()

    def note(what: str) -> None:
        record_property(f"{what} after s", round(perf_counter() - begun))

    try:
        tenant = site.tenant("loans", bpic2012.ZONE, bpic2012.CURRENCY)
        tenant.define(LOANS, bpic2012.PIPELINE)
        counts = tenant.import_(whole.shuffled(7) + whole.shuffled(8), seconds=900)
        assert (counts["accepted"], counts["duplicates"]) == (262_200, 262_200)
        note("imported twice, shuffled")
        tenant.fold(900)
        note("folded")
        assert whole.faults(tenant) == []
        rebuilt(tenant, 900)
        note("rebuilt")
        assert whole.faults(tenant) == []
    finally:
        site.close()
