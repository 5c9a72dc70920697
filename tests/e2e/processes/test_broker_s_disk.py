"""The broker's disk is full for a while (F6): it halts, and what is acknowledged waits on ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.common.db.embedded import EmbeddedPostgres
from libs.common.eventlog.kafka_broker import KafkaBroker, listens
from libs.common.eventlog.kafka_jars import KafkaMissing
from libs.common.testing.fixtures import give_up
from tests.e2e.processes.conftest import World, scene_on
from tests.e2e.processes.damage import fill, full, tmpfs
from tests.e2e.processes.outage import Outages
from tests.e2e.processes.stack import until

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.fault]
MIB = 1024 * 1024
APPEND = 256 * 1024
"""Bytes that ingest appends to a partition at most."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of the broker's log directory."""
    with tmpfs(tmp_path_factory.mktemp("broker") / "logs", "256m") as mounted:
        yield mounted


@pytest.fixture(scope="module")
def world(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """As elsewhere, but for the broker's small disk."""
    folder = tmp_path_factory.mktemp("world")
    postgres, broker = EmbeddedPostgres(folder / "pg"), KafkaBroker(disk.parent)
    try:
        broker.start()
        postgres.start()
        with scene_on(postgres.url("postgres"), broker.server, folder) as scene:
            yield World(scene, broker, postgres)
    except KafkaMissing as missing:
        give_up(missing)
    finally:
        postgres.stop()
        broker.kill()


@pytest.mark.timeout(600)
def test_the_broker_s_disk_is_full_for_a_while(outages: Outages, disk: Path) -> None:
    with outages.begun(padding=4_000) as outage:
        filler = fill(disk, left=2 * MIB)
        try:
            until("the broker gives up", lambda: not listens(outages.broker.port), 120)
            assert full(disk, APPEND), "it ended of something else"
            outage.lasts(15)
            outage.findings["oldest (s)"] = oldest = outage.oldest()
            assert oldest > 12, "nobody is told"
        finally:
            filler.unlink()
        outages.broker.kill()
        outages.back()
        outage.ends()
    assert outage.traffic.refused == []
