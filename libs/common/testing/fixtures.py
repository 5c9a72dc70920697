"""pytest fixtures: a real PostgreSQL, migrated once, cloned per module from a template."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import asyncpg
import pytest
from sqlalchemy import make_url

from libs.common.db.embedded import EmbeddedPostgres
from libs.common.db.migrate import migrate
from libs.common.db.urls import with_database
from libs.common.eventlog.kafka_broker import KafkaBroker
from libs.common.eventlog.kafka_jars import KafkaMissing

__all__ = ["database_url", "kafka_server", "postgres_server_url", "template_url"]

_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
         "max_connections": "300", "shared_buffers": "256MB"}  # fmt: skip


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """A server's URL: `HEADWAY_TEST_DATABASE_URL`, else the embedded one without fsync."""
    if external := os.environ.get("HEADWAY_TEST_DATABASE_URL"):
        yield external
        return
    with tempfile.TemporaryDirectory(prefix="hw") as folder:
        server = EmbeddedPostgres(Path(folder) / "pg", _FAST)
        try:
            server.start()
            yield server.url("postgres")
        finally:
            server.stop()


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[str]:
    """`host:port` of a real broker; without one, tests are skipped, and fail where `CI=true`."""
    if external := os.environ.get("HEADWAY_TEST_KAFKA"):
        yield external
        return
    with own_broker() as broker:
        yield broker.server


@contextmanager
def own_broker() -> Iterator[KafkaBroker]:
    """A broker for one's own purposes, such as killing it; where none can be: as `kafka_server`."""
    with tempfile.TemporaryDirectory(prefix="hwk") as folder:
        broker = KafkaBroker(Path(folder))
        try:
            broker.start()
        except KafkaMissing as missing:
            give_up(missing)
        try:
            yield broker
        finally:
            broker.kill()


def give_up(missing: KafkaMissing) -> NoReturn:
    """Skip where there can be no Kafka; fail where `CI=true`."""
    if os.environ.get("CI") == "true":
        pytest.fail(str(missing))
    pytest.skip(str(missing))


@pytest.fixture(scope="session")
def template_url(postgres_server_url: str) -> str:
    """A database at head that the others are cloned from."""
    return asyncio.run(_template(postgres_server_url))


async def _template(server: str) -> str:
    url = await _create(server, f"template_{os.getpid()}", None)
    await migrate(url)
    return url


@pytest.fixture(scope="module")
def database_url(
    postgres_server_url: str, template_url: str, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A clean database at head, for one test module."""
    name = f"test_{os.getpid()}_{abs(hash(request.node.nodeid)):x}"
    template = make_url(template_url).database
    yield asyncio.run(_create(postgres_server_url, name, template))
    asyncio.run(_execute(postgres_server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _create(server: str, name: str, template: str | None) -> str:
    clone = f' TEMPLATE "{template}"' if template else ""
    await _execute(server, f'CREATE DATABASE "{name}"{clone}')
    return with_database(server, name)


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
