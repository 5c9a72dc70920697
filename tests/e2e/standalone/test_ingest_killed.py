"""The one process dies by SIGKILL at each point between receiving an event and answering, with its
database there or away, and starts again: what it has acknowledged is folded, once and in order."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.processes import test_alerts_killed, test_funnel_killed
from tests.e2e.processes.outage import FRESH
from tests.e2e.processes.stack import ROOT
from tests.e2e.processes.test_ingest_killed import DOOR, DRAINING, SPOOL
from tests.e2e.processes.traffic import PROMISED
from tests.e2e.standalone import test_killed_mid_way
from tests.e2e.standalone.dying import Dying, tenant

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]
LOG = ("log.before_commit", "log.after_commit")
_NAME = re.compile(r'\bfaults\.hit\(\s*"([a-z_.]+)"\s*\)')
Property = Callable[[str, object], None]


@contextmanager
def dying(folder: Path, name: str, points: Sequence[str]) -> Iterator[Dying]:
    """Under traffic; every point was hit, and senders met a process that was gone each time."""
    opened = Dying(folder, name)
    try:
        with opened.under_traffic() as traffic:
            yield opened
        assert opened.died_at() == list(points)
        assert traffic.unreached >= len(points)
        assert {code for code, _ in traffic.refused} <= FRESH
        assert traffic.slowest <= PROMISED
    finally:
        opened.headway.clean_up()


@pytest.mark.fault
@pytest.mark.timeout(900)
def test_killed_at_each_point_while_the_log_is_there(
    tmp_path: Path, record_property: Property
) -> None:
    points = (*DOOR, *LOG, *SPOOL, DRAINING)
    with dying(tmp_path, tenant(sampled=True), points) as headway:
        for point in points:
            headway.armed(point, nth=2 if point in (*SPOOL, DRAINING) else 20)
            headway.dies_at(point)
    record_property("accepted", headway.traffic.accepted)
    record_property("killed", len(points))


@pytest.mark.fault
@pytest.mark.timeout(900)
def test_killed_at_each_point_of_the_spool_with_the_database_that_is_the_log(
    tmp_path: Path, record_property: Property
) -> None:
    """As when a machine dies. The last start finds events on disk and dies while it drains them."""
    with dying(tmp_path, tenant(sampled=False), (*SPOOL, DRAINING)) as headway:
        for n, point in enumerate(SPOOL):
            headway.armed(point, nth=3)
            headway.flows()
            assert len(headway.died_at()) == n, "it came to the spool while the log was there"
            headway.kill_database()
            headway.dies_at(point)
        headway.armed(DRAINING, nth=1)
        headway.dies_at(DRAINING)
    record_property("accepted", headway.traffic.accepted)
    record_property("killed", len(SPOOL) + 1)


def test_no_point_of_the_code_is_forgotten() -> None:
    """Those of ingest and the embedded log are armed here and beside, the others elsewhere."""
    sources = [path for name in ("libs", "services") for path in (ROOT / name).rglob("*.py")]
    named = {name for path in sources for name in _NAME.findall(path.read_text())}
    here = {*DOOR, *LOG, *SPOOL, DRAINING}
    beside = {point.partition(":")[0] for point in test_killed_mid_way.POINTS}
    elsewhere = {*test_funnel_killed.POINTS, *(point for _, point in test_alerts_killed.KILLS)}
    assert {name for name in named if name.startswith(("ingest.", "log."))} <= here | beside
    assert named == here | beside | elsewhere


def test_every_point_is_named_where_it_is_hit() -> None:
    """A name that is computed would be in no list."""
    sources = [path for name in ("libs", "services") for path in (ROOT / name).rglob("*.py")]
    hits = [line for path in sources for line in path.read_text().splitlines()
            if "faults.hit(" in line]  # fmt: skip
    assert [line for line in hits if not _NAME.search(line)] == []
