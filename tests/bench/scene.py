"""The servers of one run: PostgreSQL with its defaults, the log, and a database per contestant."""

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal

import asyncpg

from libs.common.clock import SystemClock
from libs.common.contracts.topics import CRM_EVENTS, TOPICS
from libs.common.db.embedded import EmbeddedPostgres
from libs.common.db.migrate import migrate
from libs.common.db.urls import with_database
from libs.common.eventlog.factory import open_log
from libs.common.eventlog.kafka_broker import KafkaBroker
from libs.common.eventlog.kafka_jars import KafkaMissing
from libs.common.eventlog.port import EventLog, TopicConfig
from tests.bench import plain
from tests.bench.stream import Told

LogKind = Literal["kafka", "memory", "postgres"]
FEW = f"{CRM_EVENTS}.few"
"""The beginning of the stream, for what would take too long with all of it."""
_PIECE = 1_000
_URLS = {"memory": "memory://", "postgres": "postgres+log://"}


@dataclass
class Scene:
    """Open servers. Databases are clones of two templates and live for one measurement."""

    server: str
    log: EventLog
    log_kind: str
    _made: Iterator[int] = field(default_factory=count)

    @asynccontextmanager
    async def database(self, template: str) -> AsyncIterator[str]:
        """A database of its own, with what came before on disk, so that nobody pays for others."""
        name = f"bench_{next(self._made)}"
        await _execute(self.server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"', "CHECKPOINT")
        yield with_database(self.server, name)
        await _execute(self.server, f'DROP DATABASE "{name}" WITH (FORCE)')

    async def fill(self, topic: str, told: Sequence[Told]) -> None:
        partitions = TOPICS[CRM_EVENTS].partitions
        await self.log.create_topics([TopicConfig(topic, partitions)])
        for i in range(0, len(told), _PIECE):
            await self.log.append(topic, [event.record for event in told[i : i + _PIECE]])


@asynccontextmanager
async def opened(wanted: LogKind, server: str | None = None) -> AsyncIterator[Scene]:
    """A scene; `server` is the URL of a PostgreSQL that is there already."""
    with (
        tempfile.TemporaryDirectory(prefix="hwb") as folder,
        _postgres(Path(folder), server) as url,
        _broker(Path(folder), wanted) as (kind, log),
    ):
        await _templates(url)
        events = open_log(log, with_database(url, "bench_log"), SystemClock(), "bench")
        await events.start()
        try:
            yield Scene(url, events, kind)
        finally:
            await events.stop()
            await _drop(url)


@contextmanager
def _postgres(folder: Path, server: str | None) -> Iterator[str]:
    """Production's settings: fsync and synchronous commits stay on."""
    if server is not None:
        yield server
        return
    embedded = EmbeddedPostgres(folder / "pg")
    embedded.start()
    try:
        yield embedded.url("postgres")
    finally:
        embedded.stop()


@contextmanager
def _broker(folder: Path, wanted: LogKind) -> Iterator[tuple[str, str]]:
    """The log's kind and URL; without Java it is in memory, and the table says so."""
    if wanted != "kafka":
        yield wanted, _URLS[wanted]
        return
    (folder / "kafka").mkdir()
    broker = KafkaBroker(folder / "kafka")
    try:
        broker.start()
    except KafkaMissing as missing:
        yield f"memory (no Kafka: {missing})", _URLS["memory"]
        return
    try:
        yield "kafka", broker.url
    finally:
        broker.stop()


_DATABASES = ("bench_headway", "bench_plain", "bench_log")


async def _templates(url: str) -> None:
    await _execute(url, "CREATE DATABASE bench_headway", "CREATE DATABASE bench_plain")
    await migrate(with_database(url, "bench_headway"))
    await _execute(url, "CREATE DATABASE bench_log TEMPLATE bench_headway")
    await _execute(with_database(url, "bench_plain"), *plain.TABLES)


async def _drop(url: str) -> None:
    for name in _DATABASES:
        await _execute(url, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
