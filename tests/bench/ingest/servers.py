"""The contestants as processes: the bare route, and ingest over each log, as users start them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from libs.common.clock import SystemClock
from libs.common.db.embedded import EmbeddedPostgres
from libs.common.eventlog.factory import open_log
from libs.common.eventlog.kafka_broker import KafkaBroker
from libs.common.eventlog.port import EventLog
from libs.common.ids import derived_key
from services.ingest.app.bootstrap_keys import ensure_operator_key
from tests.e2e.processes.stack import ROOT, SECRET, Stack
from tests.e2e.standalone.headway import Headway

BARE, ECHO = "bare", "echo"
STANDALONE, POSTGRES, KAFKA = "standalone", "postgres", "kafka"
_BY_ITSELF = {POSTGRES: "postgres+log://", KAFKA: ""}


@dataclass(frozen=True, slots=True)
class Server:
    """Where one answers. Ingest's have a tenant's key and a log; the others have neither."""

    name: str
    port: int
    pid: int
    key: str = ""
    log_url: str = ""
    database_url: str = ""

    @property
    def ingests(self) -> bool:
        return bool(self.log_url)

    def path(self, size: int) -> str:
        if self.ingests:
            return "/v1/events"
        return "/single" if size == 1 else "/batch"

    def cpu(self) -> float:
        """Seconds of a processor that it has taken so far."""
        told = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")

    @asynccontextmanager
    async def log(self) -> AsyncIterator[EventLog]:
        opened = open_log(self.log_url, self.database_url, SystemClock(), "bench")
        await opened.start()
        try:
            yield opened
        finally:
            await opened.stop()


@contextmanager
def plain(name: str) -> Iterator[Server]:
    """`bare` or `echo`."""
    command = (sys.executable, "-m", f"tests.bench.ingest.{name}")
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Server(name, int(process.stdout.readline()), process.pid)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def standalone(folder: Path) -> Iterator[Server]:
    """Everything in one process, over the log in its own PostgreSQL; it folds while it takes in."""
    headway = Headway(folder / "data", ("--no-demo",))
    try:
        url = headway.start()["url"]
        key = _tenant(url, (headway.data_dir / "operator-key").read_text().strip())
        port, database = int(url.rpartition(":")[2]), headway.postgres.url()
        pid = headway.process.pid
        yield Server(STANDALONE, port, pid, key, _BY_ITSELF[POSTGRES], database)
    finally:
        headway.clean_up()


@contextmanager
def by_itself(name: str, folder: Path) -> Iterator[Server]:
    """`services.ingest api` alone, over PostgreSQL's log or a real Kafka of its own."""
    with ExitStack() as opened:
        database = opened.enter_context(_postgres(folder))
        log_url = _BY_ITSELF[name] or opened.enter_context(_kafka(folder))
        stack = opened.enter_context(Stack(folder, database, log_url))
        stack.migrate()
        pepper = derived_key(SECRET.encode(), "api-keys")
        operator = asyncio.run(ensure_operator_key(database, pepper, SystemClock()))
        process = stack.start("ingest", "api").ready()
        key = _tenant(process.url, str(operator))
        port = int(process.environment["HEADWAY_PORT"])
        yield Server(name, port, process.pid, key, log_url, database)


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """Production's settings: fsync and synchronous commits stay on."""
    embedded = EmbeddedPostgres(folder / "pg")
    embedded.start()
    try:
        yield embedded.url()
    finally:
        embedded.stop()


@contextmanager
def _kafka(folder: Path) -> Iterator[str]:
    (folder / "kafka").mkdir()
    broker = KafkaBroker(folder / "kafka")
    broker.start()
    try:
        yield broker.url
    finally:
        broker.stop()


def _tenant(url: str, operator: str) -> str:
    headers = {"Authorization": f"Bearer {operator}"}
    made = httpx.post(
        f"{url}/v1/tenants", json={"id": "bench", "currency": "EUR"}, headers=headers,
        trust_env=False, timeout=30,
    )  # fmt: skip
    key: str = made.raise_for_status().json()["api_key"]
    return key
