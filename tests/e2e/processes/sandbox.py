"""A sandbox tenant of separate processes that lives through a story, and what its reader reads."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import httpx

from libs.common.clock import SystemClock
from libs.common.contracts.topics import ALERT_EVENTS, DEALS, dlq
from libs.common.ids import derived_key
from services.ingest.app.bootstrap_keys import ensure_operator_key
from tests.e2e.processes import topics
from tests.e2e.processes.alert_story import Event, Round
from tests.e2e.processes.oracle_alerts import Evidence, Oracle, Rule, Told
from tests.e2e.processes.sender import Sender, client
from tests.e2e.processes.stack import SECRET, Process, Stack, until
from tests.e2e.processes.stream import PIPELINE
from tests.e2e.processes.topics import Ends, Kept

SCHEDULER, CONSUMER, RELAY = (("alerts", name) for name in ("scheduler", "consumer", "relay"))
FUNNEL = ("funnel", "worker")
PARTS = (("ingest", "api"), ("alerts", "api"), FUNNEL, CONSUMER, RELAY, SCHEDULER)
RULES = (
    Rule("idle", "last_activity_at", timedelta(days=8)),
    Rule("stall", "stage_entered_at", timedelta(days=10)),
    Rule("touch", "stage_entered_at", timedelta(days=6), ("call", "outbound")),
)
Part = tuple[str, str]


def definition(rule: Rule) -> Mapping[str, Any]:
    """The oracle's rule as clients write it."""
    clock: dict[str, Any] = {"start": rule.start, "limit": f"P{rule.limit.days}D"}
    if rule.met_by is not None:
        kind, direction = rule.met_by
        clock["met_by"] = {"activity": {"kinds": [kind], "direction": direction}}
    scope = "deal.status == 'open'"
    return {"name": rule.rule_id, "scope": scope, "clock": clock, "catch_up": "fire_late"}


@dataclass
class Crew:
    """One process of each part; a part that a crash point has killed is started again.

    `armed` are the crash points that are still to be armed, by part.
    """

    stack: Stack
    armed: dict[Part, list[str]] = field(default_factory=dict)
    killed: int = 0

    def __post_init__(self) -> None:
        self._running = {part: self._start(part) for part in PARTS}

    def _start(self, part: Part) -> Process:
        points = self.armed.get(part, [])
        changes = {"HEADWAY_CRASH_POINT": points.pop(0)} if points else {}
        return self.stack.start(*part, **changes)

    def ready(self) -> "Crew":
        for process in self._running.values():
            process.ready()
        return self

    def url(self, service: str) -> str:
        return self._running[service, "api"].url

    def revive(self) -> None:
        """Start anew what was killed; anything else that ended is a failure."""
        for part, process in self._running.items():
            if process.exit_code is not None:
                assert process.exit_code == -9, f"{part} ended:\n{process.said()}"
                self.killed += 1
                self._running[part] = self._start(part)

    def replace(self, part: Part) -> None:
        """As a rolling restart does: the new one first, then the old one is stopped."""
        old, self._running[part] = self._running[part], self._start(part).ready()
        old.stop()

    def stop(self) -> None:
        for process in self._running.values():
            process.stop()


class Served(Protocol):
    """The processes of a sandbox: where each service answers, and that they are up."""

    def url(self, service: str) -> str: ...

    def revive(self) -> None: ...


C = TypeVar("C", bound=Served)


@dataclass
class Sandbox(Generic[C]):
    """One tenant; `since` is where the topics ended before it."""

    tenant: str
    key: str
    crew: C
    server: str
    since: Ends
    sender: Sender = field(default_factory=Sender)

    def publish_rules(self) -> None:
        for rule in RULES:
            made = self.call("alerts", "PUT", f"/v1/rules/{rule.rule_id}", json=definition(rule))
            assert made.status_code == 201, made.text

    def call(self, service: str, method: str, path: str, **options: Any) -> httpx.Response:
        with client(self.crew.url(service), self.key) as http:
            return http.request(method, path, **options)

    def send(self, events: Sequence[Event]) -> None:
        if events:
            with client(self.crew.url("ingest"), self.key) as http:
                self.sender.send(http, events)

    def settle(self, seconds: float = 120) -> None:
        until("settled", self._settled, seconds, 0.1)

    def _settled(self) -> bool:
        self.crew.revive()
        answer = self.call("alerts", "GET", "/v1/sandbox/clock")
        if answer.status_code == 503:  # the log does not answer: ask again
            return False
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["settled"])

    def move(self, now: datetime) -> None:
        moved = self.call("alerts", "POST", "/v1/sandbox/clock", json={"now": now.isoformat()})
        assert moved.status_code == 202, moved.text

    def live(self, rounds: Sequence[Round], between: Callable[[int], None] | None = None) -> Oracle:
        """The story from its first to its last round; the oracle that heard the same.

        `between` is called in every round, once the clock was moved and before all is settled.
        """
        oracle, clock = Oracle(RULES), None
        for number, told in enumerate(rounds):
            if told.late and clock is not None:
                self.send(told.late)
                self.settle()
                oracle.hear(told.late)
                oracle.judge(clock)
            self.send(told.fresh)
            self.move(told.now)
            if between is not None:
                between(number)
            self.settle()
            oracle.hear(told.fresh)
            oracle.judge(clock := told.now)
        return oracle

    def records(self) -> list[Kept]:
        """What the tenant's integrator reads of the alerts' topic, in order of each partition."""
        read = asyncio.run(topics.read(self.server, ALERT_EVENTS, self.since))
        mine = [record for record in read if record.header("ce_tenantid") == self.tenant]
        return sorted(mine, key=lambda record: (record.partition, record.offset))

    def dead_letters(self) -> list[Kept]:
        return asyncio.run(topics.read(self.server, dlq(DEALS), {}))


@dataclass
class Reading:
    """A reader that drops repeats by `ce_id`."""

    told: dict[str, list[Told]]
    repeats: int
    faults: list[str]

    @classmethod
    def of(cls, records: Sequence[Kept]) -> "Reading":
        first: dict[str, Kept] = {}
        faults, repeats = [], 0
        for record in records:
            held = first.setdefault(record.header("ce_id"), record)
            repeats += held is not record
            if held.content != record.content:
                faults.append(f"{record.header('ce_id')} was repeated with another content")
        return cls(_by_subject(first.values(), faults), repeats, faults)

    def differences(self, wanted: Mapping[str, Sequence[Told]]) -> list[str]:
        """What each subject's records have other than the oracle, and what else is wrong."""
        found = list(self.faults)
        for subject in sorted(self.told.keys() | wanted.keys()):
            mine, theirs = self.told.get(subject, []), list(wanted.get(subject, ()))
            if mine != theirs:
                found.append(f"{subject}: read {mine}\nwanted {theirs}")
        return found


def _by_subject(records: Any, faults: list[str]) -> dict[str, list[Told]]:
    """Alerts numbered by their first record; versions must be 1 to n."""
    told: dict[str, list[Told]] = {}
    numbers: dict[str, int] = {}
    counts: dict[tuple[str, str], int] = {}
    versions: dict[str, int] = {}
    for record in records:
        alert_id, alert = record.data["alert_id"], record.data["alert"]
        subject, rule_id = alert["subject"]["id"], alert["rule_id"]
        if alert_id not in numbers:
            numbers[alert_id] = counts.get((subject, rule_id), 0)
            counts[subject, rule_id] = numbers[alert_id] + 1
        versions[alert_id] = versions.get(alert_id, 0) + 1
        if (
            record.data["version"] != versions[alert_id]
            or record.key.decode().split(":")[1] != subject
        ):
            faults.append(f"{subject}: version {record.data['version']}, key {record.key}")
        told.setdefault(subject, []).append(_told(record, numbers[alert_id]))
    return told


def _told(record: Kept, number: int) -> Told:
    alert, evidence = record.data["alert"], record.data["alert"]["evidence"]
    clock, ended = evidence["clock"], alert["resolved_at"]
    return Told(
        alert["rule_id"], alert["subject"]["id"], number, record.header("ce_type"),
        datetime.fromisoformat(record.header("ce_time")),
        datetime.fromisoformat(alert["started_at"]),
        None if ended is None else datetime.fromisoformat(ended),
        alert["resolution"],
        Evidence(
            clock["start_event_id"], datetime.fromisoformat(clock["start"]),
            datetime.fromisoformat(clock["due_at"]), evidence["facts"]["stage_id"],
            *(_instant(evidence["facts"][n]) for n in ("stage_entered_at", "last_activity_at")),
        ),
    )  # fmt: skip


def _instant(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)


@dataclass
class Sandboxes:
    """Makes a tenant for each test, on one database and one broker."""

    stack: Stack
    server: str
    operator: str = ""

    def set(self) -> "Sandboxes":
        self.stack.migrate()
        pepper = derived_key(SECRET.encode(), "api-keys")
        made = asyncio.run(ensure_operator_key(self.stack.database_url, pepper, SystemClock()))
        assert made is not None
        self.operator = made
        return self

    @contextmanager
    def open(
        self,
        tenant: str,
        armed: Mapping[Part, Sequence[str]] | None = None,
        *,
        real: bool = False,
    ) -> Iterator[Sandbox[Crew]]:
        """A new sandbox with the pipeline and the rules, or a tenant of `real` time; its processes
        are stopped at the end."""
        ingest, funnel = (self.stack.start(name, "api") for name in ("ingest", "funnel"))
        key = self._tenant(ingest.ready().url, tenant, sandbox=not real)
        with client(funnel.ready().url, key) as http:
            assert http.put("/v1/pipelines/b2b", json=PIPELINE).status_code == 201
        ingest.stop()
        funnel.stop()
        since = asyncio.run(topics.ends(self.server, ALERT_EVENTS))
        crew = Crew(self.stack, {part: list(points) for part, points in (armed or {}).items()})
        sandbox = Sandbox(tenant, key, crew, self.server, since)
        try:
            crew.ready()
            sandbox.publish_rules()
            yield sandbox
            crew.stop()
        finally:
            for process in self.stack.processes:
                process.kill()

    def _tenant(self, url: str, tenant: str, *, sandbox: bool) -> str:
        with client(url, self.operator) as http:
            body = {"id": tenant, "currency": "EUR", "sandbox": sandbox}
            made = http.post("/v1/tenants", json=body)
        assert made.status_code == 201, made.text
        return str(made.json()["api_key"])
