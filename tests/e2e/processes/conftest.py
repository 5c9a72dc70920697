"""A scene per module: real PostgreSQL, a real Kafka without a topic of ours, processes, tenants."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.processes import topics
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
