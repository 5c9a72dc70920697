"""One Headway that dies at named points under traffic, and is started again on the same data."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import asyncpg
import httpx

from libs.common.contracts.catalogue import log_key
from libs.common.contracts.topics import CRM_EVENTS
from services.ingest.settings import IngestSettings
from tests.e2e.processes import afterwards, topics
from tests.e2e.processes.outage import EMPTY_WITHIN
from tests.e2e.processes.scene import served
from tests.e2e.processes.sender import client
from tests.e2e.processes.stack import free_port, until
from tests.e2e.processes.stream import PIPELINE
from tests.e2e.processes.traffic import Traffic
from tests.e2e.standalone.headway import Headway

_PATIENCE = 180
"""Seconds for a start and what follows it, on a busy machine."""
_RECORDS = """SELECT partition, "offset", key, value, header_names, header_values
    FROM log.records WHERE topic = $1"""


def tenant(*, sampled: bool) -> str:
    """One of whose senders' deals some take the way through the spool always, or none does."""
    most = range(3, 99) if sampled else (0,)
    return next(name for name in (f"t{n}" for n in count()) if _sampled(name) in most)


def _sampled(name: str) -> int:
    keys = [log_key(name, f"S{sender}-{place}") for sender in range(4) for place in range(40)]
    return sum(crc32(key) % IngestSettings().spool_sample == 0 for key in keys)


class Dying:
    """A data directory, senders of one tenant that go on, and the process that they send to."""

    def __init__(self, folder: Path, tenant: str) -> None:
        port = free_port()
        self.url, self.tenant = f"http://127.0.0.1:{port}", tenant
        self._report = folder / "crash-report"
        self.headway = Headway(folder / "data", ("--no-demo", "--port", str(port)))

    @contextmanager
    def under_traffic(self) -> Iterator[Traffic]:
        """Events flow; after the block a whole process has to make good what is promised."""
        self._start()
        self.key = self._new_tenant()
        with Traffic({self.tenant: self.key}, [self.url]) as self.traffic:
            self.flows()
            yield self.traffic
            self._end()
            self._start()
            self.flows()
        self._judge()

    def flows(self, events: int = 100) -> None:
        """So many more events are acknowledged."""
        wanted = self.traffic.accepted + events
        until("events flow", lambda: self.traffic.accepted >= wanted, _PATIENCE)

    def armed(self, point: str, nth: int) -> None:
        """A process in the place of the one that runs, which dies at the point's nth passing."""
        self._end()
        self.headway.changes = {
            "HEADWAY_CRASH_POINT": f"{point}:{nth}", "HEADWAY_CRASH_REPORT": str(self._report),
        }  # fmt: skip
        self.headway.launch()

    def dies_at(self, point: str) -> None:
        assert self.headway.ended(_PATIENCE) == -signal.SIGKILL
        assert self.died_at()[-1:] == [point]

    def died_at(self) -> Sequence[str]:
        """The points that were hit, in order."""
        return self._report.read_text().split() if self._report.exists() else []

    def kill_database(self) -> None:
        pid = self.headway.postgres.running_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def _start(self) -> None:
        self.headway.changes = {}
        self.headway.start()

    def _end(self) -> None:
        if self.headway.process.poll() is None:
            self.headway.kill()

    def _new_tenant(self) -> str:
        """A busy machine may not know a new credential in time, and says 503."""
        operator = (self.headway.data_dir / "operator-key").read_text().strip()
        told = {"id": self.tenant, "currency": "EUR"}
        with client(self.url, operator) as http:
            made = until("there is a tenant", lambda: _made(http.post("/v1/tenants", json=told)))
        key: str = made["api_key"]
        with client(self.url, key) as http:
            path = "/v1/pipelines/b2b"
            until("there is a pipeline", lambda: _made(http.put(path, json=PIPELINE)))
        return key

    def _judge(self) -> None:
        """Each 202 is folded, once and in order, and no disk holds an event any more."""
        with client(self.url, self.key) as http:
            until("the spool is empty", lambda: self._spooled() == 0, EMPTY_WITHIN)
            until("all is folded", lambda: http.get("/v1/projection").json().get("caught_up"), 120)
            found = self._faults(http)
        assert found == [], found[:10]
        assert self.headway.terminate() == 0
        assert list(self.headway.data_dir.glob("spool/*/*.seg")) == []

    def _faults(self, http: httpx.Client) -> list[str]:
        told, database = self.traffic.acknowledged(), self.headway.postgres.url()
        events = told[self.tenant]
        ids = asyncio.run(afterwards.folded_ids(database, self.tenant))
        return [
            *self.traffic.failures,
            *afterwards.unfolded(self.tenant, events, ids),
            *afterwards.statuses(http, events[:: max(1, len(events) // 20)]),
            *afterwards.disorder(asyncio.run(_records(database))),
            *afterwards.states(served(self.url, {self.tenant: self.key}), told),
        ]

    def _spooled(self) -> float:
        text = httpx.get(f"{self.url}/metrics", trust_env=False, timeout=10).text
        (line,) = [n for n in text.splitlines() if n.startswith("headway_spool_events ")]
        return float(line.rpartition(" ")[2])


def _made(answer: httpx.Response) -> Any:
    assert answer.status_code in (201, 503), answer.text
    return answer.json() if answer.status_code == 201 else None


async def _records(url: str) -> Sequence[topics.Kept]:
    """What the embedded log holds of events."""
    connection = await asyncpg.connect(url)
    try:
        return [_kept(*row) for row in await connection.fetch(_RECORDS, CRM_EVENTS)]
    finally:
        await connection.close()


def _kept(
    partition: int, offset: int, key: bytes, value: bytes, names: Sequence[str], told: Any
) -> topics.Kept:
    return topics.Kept(partition, offset, key, value, tuple(zip(names, told, strict=True)))
