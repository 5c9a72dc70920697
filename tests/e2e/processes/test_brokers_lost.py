"""A log of three copies of which two must have each record (F5). Losing one broker is nothing to
senders; without a second one the log takes nothing, and what is acknowledged waits on disk."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.db.embedded import EmbeddedPostgres
from libs.common.eventlog.kafka_broker import listens
from libs.common.eventlog.kafka_jars import KafkaMissing
from libs.common.testing.fixtures import give_up
from tests.e2e.processes import topics
from tests.e2e.processes.cluster import Cluster, three_brokers
from tests.e2e.processes.conftest import scene_on
from tests.e2e.processes.outage import Outage, Outages

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.fault]
TOO_FEW = ("NotEnoughReplicas", "min.isr")
"""What the client's log has of such an answer: its class, or the broker's own words."""


@pytest.fixture(params=[(1,), (1, 2, 3)], ids=["a controller stays", "no controller is left"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """Once the brokers say what is wrong, and once none is left who could."""
    folder = tmp_path / "brokers"
    folder.mkdir()
    try:
        with three_brokers(folder, request.param) as started:
            yield started
    except KafkaMissing as missing:
        give_up(missing)


@pytest.fixture
def outages(
    cluster: Cluster, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Iterator[Outages]:
    postgres, stack, data = EmbeddedPostgres(tmp_path / "pg"), tmp_path / "stack", tmp_path / "data"
    stack.mkdir()
    data.mkdir()
    try:
        postgres.start()
        with scene_on(postgres.url("postgres"), cluster.server, stack) as scene:
            yield Outages(scene, cluster.nodes[0], postgres, data, record_property)
    finally:
        postgres.stop()


@pytest.mark.timeout(900)
def test_one_broker_is_lost_and_then_a_second_one(cluster: Cluster, outages: Outages) -> None:
    _, second, third = cluster.nodes
    with outages.begun() as outage:
        cluster.await_in_sync(CRM_EVENTS, 3)
        third.kill()
        cluster.await_in_sync(CRM_EVENTS, 2)
        outage.ends()
        outage.findings["appended with two brokers"] = _appended(cluster, outage, seconds=10)
        second.kill()
        assert not any(listens(node.port) for node in (second, third))
        if len(cluster.voting) == 1:
            cluster.await_in_sync(CRM_EVENTS, 1)
        outage.lasts(20)
        outage.findings["told that copies are too few"] = refused = _refusals(outage)
        for node in (second, third):
            node.launch()
        for node in (second, third):
            node.await_port(240)
        outage.ends()
    assert outage.traffic.refused == []
    assert refused > 0 or len(cluster.voting) > 1


def _appended(cluster: Cluster, outage: Outage, seconds: float) -> int:
    """How many events the log took in these seconds; none of them waits when they are over."""
    before = _in_the_log(cluster)
    outage.goes_on(seconds)
    outage.ends()
    appended = _in_the_log(cluster) - before
    assert appended > 0
    return appended


def _in_the_log(cluster: Cluster) -> int:
    return sum(asyncio.run(topics.ends(cluster.nodes[0].server, CRM_EVENTS)).values())


def _refusals(outage: Outage) -> int:
    """Answers NOT_ENOUGH_REPLICAS that ingest has been given."""
    lines = outage.ingest.log.read_text("utf-8", errors="replace").splitlines()
    return sum(any(words in line for words in TOO_FEW) for line in lines)
