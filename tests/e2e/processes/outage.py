"""An outage under traffic: begun, lasting, ended, and judged by what came of every 202."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from libs.common.db.embedded import EmbeddedPostgres
from libs.common.eventlog.kafka_broker import KafkaBroker
from tests.e2e.processes import afterwards
from tests.e2e.processes.scene import Scene
from tests.e2e.processes.stack import Process, Stack, until
from tests.e2e.processes.traffic import PROMISED, Traffic

EMPTY_WITHIN = 30.0
"""Seconds after its return in which the log has everything."""
Property = Callable[[str, object], None]


@dataclass
class Outage:
    """What is running: `ingest` under `traffic`, and a consumer behind it."""

    stack: Stack
    ingest: Process
    traffic: Traffic
    most: float = 0.0
    """Events that waited at most."""
    empty_after: float | None = None
    findings: dict[str, object] = field(default_factory=dict)

    def lasts(self, seconds: float) -> None:
        """Go on for a while; events have to wait, and the process to be ready, all the time."""
        deadline = time.monotonic() + seconds
        until("events wait on disk", self.looks, 30)
        while (left := deadline - time.monotonic()) > 0:
            self.looks()
            time.sleep(min(0.5, left))
        assert self.readiness().status_code == 200, self.readiness().text

    def looks(self) -> bool:
        """Count what waits now."""
        waiting = self.ingest.metric("headway_spool_events")
        self.most = max(self.most, waiting)
        return waiting > 0

    def ends(self, seconds: float = EMPTY_WITHIN) -> None:
        """The log is back: how long until nothing waits."""
        started = time.monotonic()
        until("the spool is empty", lambda: not self.looks(), seconds, 0.2)
        self.empty_after = time.monotonic() - started

    def readiness(self) -> httpx.Response:
        return httpx.get(f"{self.ingest.url}/readyz", trust_env=False, timeout=20)

    def report(self, record: Property) -> None:
        traffic = self.traffic
        told = {
            "accepted": traffic.accepted, "spooled at most": int(self.most),
            "refused": len(traffic.refused), "unreached": traffic.unreached,
            "repeats": traffic.repeats, "slowest answer (s)": f"{traffic.slowest:.2f}",
        }  # fmt: skip
        if self.empty_after is not None:
            told["seconds until empty"] = f"{self.empty_after:.1f}"
        for name, value in (told | self.findings).items():
            record(name, value)


@dataclass
class Outages:
    """What there is to break, and the scene upon it."""

    scene: Scene
    broker: KafkaBroker
    postgres: EmbeddedPostgres
    folder: Path
    record: Property

    @contextmanager
    def begun(self, *, padding: int = 0, **settings: str) -> Iterator[Outage]:
        """Traffic that flows; after the block everything is folded and judged."""
        self.scene.empty_log()
        settings.setdefault("HEADWAY_DATA_DIR", str(self.folder))
        with self.scene.clone(**settings) as stack:
            ingest = stack.start("ingest", "api").ready()
            consumer = stack.start("funnel", "worker").ready()
            with Traffic(self.scene.keys, [ingest.url], padding=padding) as traffic:
                outage = Outage(stack, ingest, traffic)
                until("events flow", lambda: traffic.accepted > 300)
                yield outage
            self.judge(outage, consumer)

    def judge(self, outage: Outage, consumer: Process) -> None:
        outage.report(self.record)
        self.scene.await_settled(outage.stack, 180)
        assert afterwards.faults(self.scene, outage.stack, outage.ingest, outage.traffic) == []
        assert outage.traffic.slowest <= PROMISED
        outage.ingest.stop()
        consumer.stop()
