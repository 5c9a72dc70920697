"""The broker or the database goes away while senders go on: each 202 is kept, once and in order,
answers stay quick, and once the log is back the spool is empty within half a minute."""

import asyncio
import os
import time
from collections.abc import Callable
from itertools import cycle, islice

import pytest

from libs.common.contracts.topics import CRM_EVENTS
from tests.e2e.processes import afterwards, outcome, topics
from tests.e2e.processes.conftest import World
from tests.e2e.processes.damage import connections, rss, takes_connections
from tests.e2e.processes.outage import Outage, Outages
from tests.e2e.processes.scene import Scene
from tests.e2e.processes.stack import until

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.fault]
AWAY, TIMES = 5.0, 30
"""Seconds for which the broker is away and there in turn, and how often it goes: five minutes."""
LONG = float(os.environ.get("HEADWAY_TEST_OUTAGE_SECONDS", "120"))
"""Longer than every timeout of a client; 600 for the run that is kept as evidence."""
_DRAINED = "headway_spool_drained_total"
_UNINDEXED = "headway_ingest_index_failures_total"
_LAG = 3.0
"""Seconds by which what is told of a spool may be behind it."""


@pytest.mark.timeout(600)
def test_the_broker_is_killed_and_back_after_20_seconds(outages: Outages) -> None:
    with outages.begun() as outage:
        outages.kills()
        outage.lasts(20)
        outages.back()
        outage.ends()
    assert outage.traffic.refused == []


@pytest.mark.timeout(600 + 2 * LONG)
@pytest.mark.parametrize("seconds", [LONG], ids=lambda seconds: f"{seconds:g} s")
def test_the_broker_is_away_for_longer_than_every_timeout(outages: Outages, seconds: float) -> None:
    with outages.begun() as outage:
        before, since = rss(outage.ingest.pid), time.monotonic()
        outages.kills()
        outage.lasts(seconds)
        waited = outage.oldest()
        assert waited > seconds - _LAG
        assert afterwards.held_back(outage.stack) > waited - _LAG, "the watermark is not held"
        outage.findings["MiB more"] = grown = rss(outage.ingest.pid) - before
        outages.back()
        outage.findings["seconds away"] = round(time.monotonic() - since)
        outage.ends()
        outage.findings["producers replaced"] = _told(outage, "producer_replaced")
        outage.findings["connections to the broker"] = connections(
            outage.ingest.pid, outages.broker.port
        )
        assert grown < 150
        assert _told(outage, "producer_replaced") > 0
        assert _told(outage, "OutOfOrderSequence") == 0
    assert outage.traffic.refused == []
    assert outage.findings["connections to the broker"] in range(1, 6)


def _told(outage: Outage, word: str) -> int:
    """Lines of ingest's log with this word."""
    return sum(word in line for line in outage.ingest.log.read_text("utf-8").splitlines())


@pytest.mark.timeout(600)
def test_the_broker_is_frozen_for_45_seconds(outages: Outages) -> None:
    with outages.begun() as outage:
        outages.freezes()
        try:
            outage.lasts(45)
        finally:
            outages.broker.resume()
        outage.ends()
    assert outage.traffic.refused == []


@pytest.mark.timeout(1500)
def test_the_broker_comes_and_goes_and_no_event_of_a_deal_overtakes(outages: Outages) -> None:
    """For five minutes, and as much longer as a killed broker takes to start (F14)."""
    ways = cycle([(outages.kills, outages.back), (outages.freezes, outages.broker.resume)])
    with outages.begun() as outage:
        since, emptied = time.monotonic(), 0
        for hurt, mend in islice(ways, TIMES):
            _goes(outage, hurt)
            emptied += _comes(outages, outage, mend)
        outage.findings |= {
            "went and came": TIMES, "emptied in between": emptied,
            "within (s)": round(time.monotonic() - since),
        }  # fmt: skip
        outage.ends()
        assert time.monotonic() - since >= 2 * AWAY * TIMES
    assert outage.traffic.refused == []


def _goes(outage: Outage, hurt: Callable[[], None]) -> None:
    """Away for its time: it does not answer, and senders' events wait."""
    since = time.monotonic()
    hurt()
    outage.begins()
    outage.goes_on(AWAY - (time.monotonic() - since))


def _comes(outages: Outages, outage: Outage, mend: Callable[[], None]) -> bool:
    """There for its time: it answers, and takes what waited; whether all of it within that."""
    drained = outage.ingest.metric(_DRAINED)
    mend()
    since = time.monotonic()
    until("the broker answers", outages.answers, 30)
    until("the log takes what waited", lambda: outage.ingest.metric(_DRAINED) > drained, 30)
    emptied = False
    while time.monotonic() < since + AWAY:
        emptied = emptied or not outage.looks()
        time.sleep(0.1)
    return emptied


@pytest.mark.timeout(900)
def test_the_broker_is_restarted_ten_times(outages: Outages) -> None:
    """Cleanly, as by an operator (F4): no consumer is stuck afterwards, and none was made anew."""
    with outages.begun() as outage:
        folded_after = []
        for _ in range(10):
            assert outages.broker.stop(), "it had to be killed"
            outage.begins()
            outages.back()
            outage.ends()
            folded_after.append(_folds_what_is_there(outages.scene, outage))
        outage.findings |= {
            "restarts": len(folded_after), "seconds until folded": f"{max(folded_after):.1f}",
            "readers made anew": int(outage.consumer.metric("headway_consumer_stalls_total")),
        }  # fmt: skip
    assert outage.traffic.refused == []
    assert outage.findings["readers made anew"] in (0, 1)


def _folds_what_is_there(scene: Scene, outage: Outage) -> float:
    """How many seconds it takes until what the log has now is folded; more comes meanwhile."""
    started, ends = time.monotonic(), asyncio.run(topics.ends(scene.server, CRM_EVENTS))
    url = outage.stack.database_url
    until("what waited is folded", lambda: asyncio.run(outcome.folded_to(url, ends)), 30, 0.2)
    return time.monotonic() - started


@pytest.mark.timeout(600)
@pytest.mark.parametrize("both", [False, True], ids=["alone", "with the broker"])
def test_the_database_is_killed_and_back_after_20_seconds(
    world: World, outages: Outages, both: bool
) -> None:
    with outages.begun() as outage:
        before = outage.traffic.accepted
        world.kill_postgres()
        assert not takes_connections(world.postgres)
        if both:
            outages.kills()
            outage.waits(20)
        else:
            outage.goes_on(20)
            outage.findings["not indexed"] = missed = int(outage.ingest.metric(_UNINDEXED))
            assert missed > 0, "ingest has reached a database"
        assert not takes_connections(world.postgres)
        outage.findings["accepted meanwhile"] = outage.traffic.accepted - before
        world.postgres.start()
        if both:
            outages.back()
        outage.ends()
        assert outage.traffic.accepted > before
    assert {code for code, _ in outage.traffic.refused} <= {"database_unavailable"}
