"""Headway as operators run it: a process for each part, over a real Kafka and a real PostgreSQL."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

import httpx

ROOT = Path(__file__).parents[3]
SECRET = "a-secret-key-for-tests-of-32-chars-or-more"
T = TypeVar("T")


def until(what: str, found: Callable[[], T], seconds: float = 60, pause: float = 0.05) -> T:
    """The first truthy answer of `found`; no answer by the deadline fails the test."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(pause)
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Process:
    """`python -m services.<service> <command>`; what it wrote is in `log`."""

    service: str
    command: str
    environment: Mapping[str, str]
    log: Path

    def start(self) -> Self:
        arguments = (sys.executable, "-m", f"services.{self.service}", self.command)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                arguments, cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['HEADWAY_PORT']}"

    def ready(self, seconds: float = 60) -> Self:
        """Wait for `/readyz`; a process that ends instead fails the test with what it said."""
        until(f"{self.service} {self.command} is ready", self._is_ready, seconds)
        return self

    def _is_ready(self) -> bool:
        assert self.exit_code is None, f"{self.service} {self.command} ended:\n{self.said()}"
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def said(self) -> str:
        return self.log.read_text("utf-8", errors="replace")[-8000:]

    def metric(self, name: str) -> float:
        """The sum of one metric over its labels."""
        text = httpx.get(f"{self.url}/metrics", trust_env=False, timeout=10).text
        lines = [line for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = 60) -> int:
        """Its exit code: a killed process has -9."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.service} {self.command} runs after {seconds:g} s:\n{self.said()}"
            ) from None

    def kill(self) -> None:
        if self.exit_code is None:
            self.signal(signal.SIGKILL)
            self.wait()

    def stop(self) -> None:
        """SIGTERM, which every process obeys within 20 s and answers with 0."""
        self.signal(signal.SIGTERM)
        assert self.wait(20) == 0, self.said()


@dataclass
class Stack:
    """Processes that share a database, a log and a key; `close` kills what still runs."""

    folder: Path
    database_url: str
    log_url: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.processes: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()

    def on(self, database_url: str, **settings: str) -> "Stack":
        """The same with another database."""
        return Stack(self.folder, database_url, self.log_url, {**self.settings, **settings})

    def start(self, service: str, command: str, **changes: str) -> Process:
        """A process on a port of its own, not waited for."""
        number = len(list(self.folder.glob("*.log")))
        log = self.folder / f"{number:03d}-{service}-{command}.log"
        process = Process(service, command, self._environment(changes), log)
        self.processes.append(process)
        return process.start()

    def migrate(self) -> None:
        """Every service's migrations at once, as a deployment may start them."""
        names = ("ingest", "funnel", "alerts", "reporting")
        started = [self.start(name, "migrate") for name in names]
        for process in started:
            assert process.wait(120) == 0, process.said()

    def _environment(self, changes: Mapping[str, str]) -> dict[str, str]:
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("HEADWAY_")}
        return {
            **inherited,
            "HEADWAY_DATABASE_URL": self.database_url,
            "HEADWAY_LOG_URL": self.log_url,
            "HEADWAY_SECRET_KEY": SECRET,
            "HEADWAY_DATA_DIR": str(self.folder),
            "HEADWAY_PORT": str(free_port()),
            "HEADWAY_CRASH_REPORT": str(self.folder / "crash-report"),
            **self.settings,
            **changes,
        }

    def crashed_at(self) -> list[str]:
        """The crash points that were hit, in order."""
        report = self.folder / "crash-report"
        return report.read_text().split() if report.exists() else []
