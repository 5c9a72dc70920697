"""One stack for the tests of this folder, with a sandbox tenant for each."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from libs.common.eventlog.kafka_jars import KafkaMissing, jars
from libs.common.testing.fixtures import give_up
from tests.e2e.processes.stream import PIPELINE
from tests.e2e.stack.launched import Launched


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """Shared: tests may restart its processes, not end it."""
    with _launched(tmp_path_factory.mktemp("stack")) as launched:
        yield launched


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Launched]:
    """For a test that ends it."""
    with _launched(tmp_path) as launched:
        yield launched


@contextmanager
def _launched(folder: Path) -> Iterator[Launched]:
    try:
        jars()
    except KafkaMissing as missing:
        give_up(missing)
    launched = Launched(folder / "data")
    try:
        launched.start()
        yield launched
    finally:
        launched.clean_up()


@pytest.fixture
def client(stack: Launched, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """The admin of a tenant of this test's own, with a pipeline."""
    with stack.tenant(_name(request)) as client:
        assert client.put("/v1/pipelines/b2b", json=PIPELINE).status_code == 201
        yield client


@pytest.fixture
def sandbox(stack: Launched, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """The same in time of its own."""
    with stack.tenant(_name(request), sandbox=True) as client:
        assert client.put("/v1/pipelines/b2b", json=PIPELINE).status_code == 201
        yield client


def _name(request: pytest.FixtureRequest) -> str:
    return re.sub("[^a-z0-9]+", "-", str(request.node.name)).strip("-")[:60]
