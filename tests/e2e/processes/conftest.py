"""A scene per module: real PostgreSQL, a real Kafka without a topic of ours, processes, tenants."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.common.db.embedded import EmbeddedPostgres
from libs.common.eventlog.kafka_broker import KafkaBroker, listens
from libs.common.testing.fixtures import own_broker
from tests.e2e.processes import topics
from tests.e2e.processes.outage import Outages
from tests.e2e.processes.sandbox import Sandboxes
from tests.e2e.processes.scene import Scene, create
from tests.e2e.processes.stack import Stack

SESSION = 6
"""Seconds for which a killed consumer keeps its partitions."""


@contextmanager
def scene_on(postgres: str, server: str, folder: Path) -> Iterator[Scene]:
    url = asyncio.run(create(postgres))
    log_url = f"kafka://{server}?session={SESSION}"
    settings = {"HEADWAY_FUNNEL_BATCH_RECORDS": "150"}
    with Stack(folder, url, log_url, settings) as stack:
        yield Scene(stack, server, postgres).set()


@pytest.fixture(scope="module")
def scene(
    postgres_server_url: str, kafka_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    asyncio.run(topics.delete_ours(kafka_server))
    folder = tmp_path_factory.mktemp("stack")
    with scene_on(postgres_server_url, kafka_server, folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def sandboxes(
    postgres_server_url: str, kafka_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandboxes]:
    asyncio.run(topics.delete_ours(kafka_server))
    url = asyncio.run(create(postgres_server_url))
    log_url = f"kafka://{kafka_server}?session={SESSION}"
    with Stack(tmp_path_factory.mktemp("alerts"), url, log_url) as stack:
        yield Sandboxes(stack, kafka_server).set()


@dataclass
class World:
    """What there is to break, and the scene upon it."""

    scene: Scene
    broker: KafkaBroker
    postgres: EmbeddedPostgres

    def kill_postgres(self, number: signal.Signals = signal.SIGKILL) -> None:
        pid = self.postgres.running_pid()
        assert pid is not None
        os.kill(pid, number)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A broker and a PostgreSQL of our own; the database keeps what it has acknowledged."""
    folder: Path = tmp_path_factory.mktemp("world")
    postgres = EmbeddedPostgres(folder / "pg")
    with own_broker() as broker:
        try:
            postgres.start()
            with scene_on(postgres.url("postgres"), broker.server, folder) as scene:
                yield World(scene, broker, postgres)
        finally:
            postgres.stop()


@pytest.fixture
def outages(
    world: World, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Outages:
    """What an earlier test has left broken is mended."""
    world.broker.resume()
    world.postgres.start()
    if not listens(world.broker.port):
        world.broker.start(240)
    return Outages(world.scene, world.broker, world.postgres, tmp_path, record_property)
