"""The broker or the database goes away while senders go on: each 202 is kept, once and in order,
answers stay quick, and once the log is back the spool is empty within half a minute."""

import asyncio
import os
import time

import pytest

from libs.common.contracts.topics import CRM_EVENTS
from tests.e2e.processes import afterwards, outcome, topics
from tests.e2e.processes.conftest import World
from tests.e2e.processes.damage import connections, rss
from tests.e2e.processes.outage import Outage, Outages
from tests.e2e.processes.scene import Scene
from tests.e2e.processes.stack import until

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.fault]
LONG = float(os.environ.get("HEADWAY_TEST_OUTAGE_SECONDS", "120"))
"""Longer than every timeout of a client; 600 for the run that is kept as evidence."""
_LAG = 3.0
"""Seconds by which what is told of a spool may be behind it."""


@pytest.mark.timeout(600)
def test_the_broker_is_killed_and_back_after_20_seconds(outages: Outages) -> None:
    with outages.begun() as outage:
        outages.broker.kill()
        outage.lasts(20)
        outages.back()
        outage.ends()
    assert outage.traffic.refused == []


@pytest.mark.timeout(600 + 2 * LONG)
def test_the_broker_is_away_for_longer_than_every_timeout(outages: Outages) -> None:
    with outages.begun() as outage:
        before = rss(outage.ingest.pid)
        outages.broker.kill()
        outage.lasts(LONG)
        waited = outage.ingest.metric("headway_spool_oldest_age_seconds")
        assert waited > LONG - _LAG
        assert afterwards.held_back(outage.stack) > waited - _LAG, "the watermark is not held"
        outage.findings["MiB more"] = grown = rss(outage.ingest.pid) - before
        outages.back()
        outage.ends()
        outage.findings["connections to the broker"] = connections(
            outage.ingest.pid, outages.broker.port
        )
        assert grown < 150
    assert outage.traffic.refused == []
    assert outage.findings["connections to the broker"] in range(1, 6)


@pytest.mark.timeout(600)
def test_the_broker_is_frozen_for_45_seconds(outages: Outages) -> None:
    with outages.begun() as outage:
        outages.broker.pause()
        try:
            outage.lasts(45)
        finally:
            outages.broker.resume()
        outage.ends()
    assert outage.traffic.refused == []


@pytest.mark.timeout(600)
def test_the_broker_comes_and_goes_and_no_event_of_a_deal_overtakes(outages: Outages) -> None:
    broker = outages.broker
    with outages.begun() as outage:
        for _ in range(3):
            for hurt, mend in ((broker.kill, outages.back), (broker.pause, broker.resume)):
                hurt()
                outage.goes_on(5)
                mend()
                outage.goes_on(5)
        outage.ends()
        assert outage.most > 0
    assert outage.traffic.refused == []


@pytest.mark.timeout(900)
def test_the_broker_is_restarted_ten_times(outages: Outages) -> None:
    """Cleanly, as by an operator (F4): no consumer is stuck afterwards, and none was made anew."""
    with outages.begun() as outage:
        folded_after = []
        for _ in range(10):
            assert outages.broker.stop(), "it had to be killed"
            until("events wait on disk", outage.looks, 30)
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
        if both:
            outages.broker.kill()
        outage.goes_on(20)
        outage.findings["accepted meanwhile"] = outage.traffic.accepted - before
        world.postgres.start()
        if both:
            assert outage.most > 0
            outages.back()
        outage.ends()
        assert outage.traffic.accepted > before
    assert {code for code, _ in outage.traffic.refused} <= {"database_unavailable"}
