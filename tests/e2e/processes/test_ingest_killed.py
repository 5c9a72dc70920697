"""Ingest dies by SIGKILL at each point between receiving an event and answering, with the broker
there or away, and starts again on the same data directory: what it has acknowledged is folded."""

import asyncio
import signal
from collections.abc import Sequence

import asyncpg
import pytest

from tests.e2e.processes.outage import FRESH, Outage, Outages
from tests.e2e.processes.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.fault]
DOOR = ("ingest.received", "ingest.looked_up", "ingest.appended", "ingest.indexed")
SPOOL = ("ingest.spool.before_write", "ingest.spool.written", "ingest.spool.after_sync")
DRAINING = "ingest.spool.drained"


@pytest.mark.timeout(900)
def test_killed_at_each_point_while_the_broker_is_there(outages: Outages) -> None:
    with outages.begun() as outage:
        for point in DOOR:
            _killed(outage, point, nth=20)
        outage.restart()
        outage.ends()
        _reported(outage, DOOR)


@pytest.mark.timeout(900)
def test_killed_at_each_point_while_the_broker_is_away_and_while_draining(outages: Outages) -> None:
    with outages.begun() as outage:
        outages.kills()
        outage.lasts(2)
        for point in DOOR + SPOOL:
            _killed(outage, point, nth=10)
            assert _held(outage.stack), "a dead process' spool does not hold the watermark"
        outage.ingest.kill()
        outage.restart(HEADWAY_CRASH_POINT=f"{DRAINING}:2")
        assert outage.looks()
        outages.back()
        assert outage.ingest.wait(60) == -signal.SIGKILL
        outage.restart()
        outage.ends()
        _reported(outage, (*DOOR, *SPOOL, DRAINING))


def _killed(outage: Outage, point: str, nth: int) -> None:
    """A process in the place of the one that runs, which dies at the point's nth passing."""
    outage.ingest.kill()
    outage.restart(HEADWAY_CRASH_POINT=f"{point}:{nth}")
    assert outage.ingest.wait(60) == -signal.SIGKILL
    assert outage.stack.crashed_at()[-1:] == [point]


def _reported(outage: Outage, points: Sequence[str]) -> None:
    """Every point was hit, and senders met a process that was gone each time."""
    assert outage.stack.crashed_at()[-len(points) :] == list(points)
    assert outage.traffic.unreached >= len(points)
    assert {code for code, _ in outage.traffic.refused} <= FRESH
    outage.findings["killed"] = len(points)


@pytest.mark.timeout(600)
def test_one_of_two_on_a_data_directory_is_replaced_while_events_wait(outages: Outages) -> None:
    with outages.begun(processes=2) as outage:
        outage.ordered = False  # the other one may drain what is left, and does not know its keys
        outages.kills()
        outage.lasts(8)
        outage.ingest.stop()
        assert _held(outage.stack), "what it has left does not hold the watermark"
        outage.restart()
        outage.lasts(5)
        outages.back()
        outage.ends()
    assert len(list(outages.folder.glob("spool/*/position"))) >= 2
    assert {code for code, _ in outage.traffic.refused} <= FRESH


def _held(stack: Stack) -> bool:
    return asyncio.run(_spooled_rows(stack.database_url)) > 0


async def _spooled_rows(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        query = "SELECT count(*) FROM ingest.processes WHERE spooled_since IS NOT NULL"
        return int(await connection.fetchval(query))
    finally:
        await connection.close()
