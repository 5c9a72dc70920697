"""An outage under traffic: begun, lasting, ended, and judged by what came of every 202."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from libs.common.db.embedded import EmbeddedPostgres
from libs.common.eventlog.kafka_broker import KafkaBroker, listens
from tests.e2e.processes import afterwards, topics
from tests.e2e.processes.crm_sender import CrmSender
from tests.e2e.processes.scene import Scene
from tests.e2e.processes.stack import Process, Stack, free_port, until
from tests.e2e.processes.traffic import Traffic

EMPTY_WITHIN = 30.0
"""Seconds after its return in which the log has everything."""
SAMPLED = 40
"""More events than ever wait while the log is well, one key in a hundred passing the spool."""
FRESH = {"starting", "database_unavailable"}
"""Codes with which a process that has just started may refuse: it knows no credential yet."""
Property = Callable[[str, object], None]


@dataclass
class Outage:
    """What is running: `ingest`, and others beside it, under `traffic`; `consumer` folds it."""

    stack: Stack
    consumer: Process
    ingest: Process
    others: Sequence[Process]
    traffic: Traffic
    ordered: bool = True
    """Whether the topic must have each deal's events in order, not only the fold."""
    most: float = 0.0
    """Events that waited at most."""
    empty_after: float | None = None
    """The longest, where it was away more than once."""
    restarts: int = 0
    """How often ingest was started in the place of one that had ended."""
    findings: dict[str, object] = field(default_factory=dict)

    def begins(self) -> None:
        """The log takes nothing any more: what comes waits on disk, and not the sample only."""
        until("events wait on disk", lambda: self.looks() > SAMPLED, 30)

    def waits(self, seconds: float) -> None:
        """Go on for a while, in which what is accepted waits on disk."""
        deadline, before = time.monotonic() + seconds, self.traffic.accepted
        self.begins()
        self.goes_on(deadline - time.monotonic())
        accepted = self.traffic.accepted - before
        assert self.looks() > accepted / 2, "the log was there"

    def lasts(self, seconds: float) -> None:
        """The same, and the process is ready all the same."""
        self.waits(seconds)
        ready = httpx.get(f"{self.ingest.url}/readyz", trust_env=False, timeout=20)
        assert ready.status_code == 200, ready.text

    def goes_on(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.looks()
            time.sleep(min(0.5, left))

    def looks(self) -> float:
        """How many events wait now."""
        waiting = sum(p.metric("headway_spool_events") for p in (self.ingest, *self.others))
        self.most = max(self.most, waiting)
        return waiting

    def oldest(self) -> float:
        """How long the oldest event has waited, in seconds: by this operators are alarmed."""
        return round(self.ingest.metric("headway_spool_oldest_age_seconds"), 1)

    def ends(self) -> None:
        """The log is back: how long until nothing waits."""
        started = time.monotonic()
        until("the spool is empty", lambda: not self.looks(), EMPTY_WITHIN, 0.2)
        self.empty_after = max(self.empty_after or 0.0, time.monotonic() - started)

    def restart(self, **changes: str) -> Process:
        """Another process in the place of one that has ended."""
        port = self.ingest.environment["HEADWAY_PORT"]
        changes = {"HEADWAY_PORT": port, **changes}
        self.restarts += 1
        self.ingest = self.stack.start("ingest", "api", **changes).ready()
        return self.ingest

    @property
    def of_crms(self) -> int:
        """Events that came as deliveries of CRMs and were accepted."""
        crms = (sender for sender in self.traffic.senders if isinstance(sender, CrmSender))
        return sum(len(sender.answers.acknowledged) for sender in crms)

    def told(self) -> Mapping[str, object]:
        """What is reported of it."""
        traffic = self.traffic
        told: dict[str, object] = {
            "accepted": traffic.accepted, "of CRMs": self.of_crms,
            "spooled at most": int(self.most),
            "refused": len(traffic.refused), "unreached": traffic.unreached,
            "repeats": traffic.repeats, "slowest answer (s)": f"{traffic.slowest:.2f}",
        }  # fmt: skip
        if self.empty_after is not None:
            told["seconds until empty"] = f"{self.empty_after:.1f}"
        return told | self.findings


@dataclass
class Outages:
    """What there is to break, and the scene upon it."""

    scene: Scene
    broker: KafkaBroker
    postgres: EmbeddedPostgres
    folder: Path
    """The data directory of a test's ingest."""
    record: Property

    @contextmanager
    def begun(
        self, *, processes: int = 1, padding: int = 0, flow: int = 300, **changes: str
    ) -> Iterator[Outage]:
        """Traffic that flows over ingest with `changes`; after the block all is judged."""
        self.scene.empty_log()
        with self.scene.clone(HEADWAY_DATA_DIR=str(self.folder)) as stack:
            consumer = stack.start("funnel", "worker").ready()
            first, *others = [self.started(stack, changes) for _ in range(processes)]
            urls = [process.url for process in (first, *others)]
            traffic = Traffic(self.scene.keys, urls, padding=padding)
            traffic.senders += self._crms(traffic)
            with traffic:
                outage = Outage(stack, consumer, first, others, traffic)
                until("events flow", lambda: traffic.accepted >= flow)
                yield outage
            self.judge(outage)

    def _crms(self, traffic: Traffic) -> Sequence[CrmSender]:
        """One of each tenant, beside those with a key."""
        tenants = self.scene.keys.items()
        return [CrmSender(traffic, n, *of) for n, of in enumerate(tenants, len(traffic.senders))]

    def kills(self) -> None:
        """The broker by SIGKILL: nobody is at its port."""
        self.broker.kill()
        assert not listens(self.broker.port)

    def freezes(self) -> None:
        """The broker by SIGSTOP: it takes connections, and answers nothing."""
        self.broker.pause()
        assert listens(self.broker.port)
        assert not self.answers()

    def answers(self) -> bool:
        """Whether the broker tells its topics."""
        return asyncio.run(topics.answers(self.broker.server))

    def back(self) -> None:
        """The broker again; on a busy machine its start takes its time."""
        self.broker.start(240)

    def started(self, stack: Stack, changes: Mapping[str, str]) -> Process:
        port = {"HEADWAY_PORT": str(free_port())}
        return stack.start("ingest", "api", **{**port, **changes}).ready()

    def judge(self, outage: Outage) -> None:
        for name, value in outage.told().items():
            self.record(name, value)
        self.scene.await_settled(outage.stack, 180)
        found = afterwards.faults(
            self.scene, outage.stack, outage.ingest, outage.traffic, ordered=outage.ordered
        )
        assert found == []
        assert outage.of_crms > 0
        assert outage.traffic.misbehaved(killed=outage.restarts > 0) == []
        for process in (outage.ingest, *outage.others, outage.consumer):
            process.stop()
