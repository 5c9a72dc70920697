"""A process whose database is not there yet, goes away, comes back, or hangs at a stop."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.common.db.embedded import EmbeddedPostgres
from libs.common.db.migrate import migrate
from tests.integration.common.test_process_starts import free_port

pytestmark = [pytest.mark.postgres, pytest.mark.e2e]


@dataclass
class World:
    """A PostgreSQL of our own, and processes upon it."""

    folder: Path

    def __post_init__(self) -> None:
        self.postgres = EmbeddedPostgres(self.folder / "pg", {"fsync": "off"})
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, service: str, command: str, **settings: str) -> "Process":
        port = free_port()
        environment = {
            **{name: v for name, v in os.environ.items() if not name.startswith("HEADWAY_")},
            "HEADWAY_DATABASE_URL": self.postgres.url(),
            "HEADWAY_SECRET_KEY": "a-secret-key-for-tests-of-32-chars-or-more",
            "HEADWAY_DATA_DIR": str(self.folder),
            "HEADWAY_PORT": str(port),
            **settings,
        }
        arguments = [sys.executable, "-m", f"services.{service}", command]
        process = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE)
        self.started.append(process)
        return Process(process, f"http://127.0.0.1:{port}")


@dataclass
class Process:
    process: subprocess.Popen[bytes]
    url: str

    def readiness(self) -> tuple[int, Any]:
        """Status and body of `/readyz`; 0 while the port does not answer."""
        assert self.process.poll() is None, self.process.communicate()[1].decode()
        try:
            answer = httpx.get(f"{self.url}/readyz", trust_env=False, timeout=10)
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()

    def until(self, fits: Callable[[int, Any], bool], seconds: float = 40) -> Any:
        """The first readiness that fits."""
        deadline = time.monotonic() + seconds
        while not fits(*(found := self.readiness())):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found[1]

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        errors = self.process.communicate(timeout=40)[1]
        return self.process.returncode, errors.decode()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = World(tmp_path)
    try:
        yield opened
    finally:
        for process in opened.started:
            process.kill()
            process.communicate()
        if (pid := opened.postgres.running_pid()) is not None:
            _signal_all(pid, signal.SIGCONT)
        opened.postgres.stop()


def ready(status: int, _: Any) -> bool:
    return status == 200


def test_it_waits_for_the_database_and_tells_why(world: World) -> None:
    process = world.start("funnel", "api")
    told = process.until(lambda status, body: "waits" in str(body.get("checks")))
    assert told["status"] == "starting"
    assert "PostgreSQL cannot be reached" in told["checks"]["process"]
    assert httpx.get(f"{process.url}/livez", trust_env=False).status_code == 200
    world.postgres.start()
    asyncio.run(migrate(world.postgres.url()))


def test_an_api_answers_without_the_log_and_a_worker_waits_for_it(world: World) -> None:
    world.postgres.start()
    asyncio.run(migrate(world.postgres.url()))
    nobody = f"kafka://127.0.0.1:{free_port()}"
    api = world.start("ingest", "api", HEADWAY_LOG_URL=nobody)
    worker = world.start("ingest", "consumer", HEADWAY_LOG_URL=nobody)
    told = api.until(ready)
    assert told["warnings"]["ingest.log"]
    waiting = worker.until(lambda status, body: "waits" in str(body.get("checks")))
    assert "Kafka" in waiting["checks"]["process"]
    for process in (api, worker):
        code, errors = process.stop()
        assert code == 0, errors


def test_told_to_stop_while_it_waits_it_ends_well(world: World) -> None:
    process = world.start("ingest", "consumer")
    process.until(lambda status, body: "waits" in str(body.get("checks")))
    code, errors = process.stop()
    assert code == 0, errors
    assert "start_waits" in errors


@pytest.mark.parametrize("how", ["killed", "hung"])
def test_readiness_tells_that_the_database_is_gone_and_recovers(world: World, how: str) -> None:
    world.postgres.start()
    asyncio.run(migrate(world.postgres.url()))
    needs = [world.start(*one) for one in (("reporting", "api"), ("funnel", "relay"))]
    ingest = world.start("ingest", "api", HEADWAY_LOG_URL="memory://")
    for process in (*needs, ingest):
        process.until(ready)
    pid = world.postgres.running_pid()
    assert pid is not None
    _signal_all(pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    for process in needs:
        told = process.until(lambda status, _: status == 503)
        [fault] = [why for name, why in told["checks"].items() if name.endswith(".database")]
        assert "PostgreSQL" in fault or "no answer" in fault
        assert httpx.get(f"{process.url}/livez", trust_env=False).status_code == 200
    warned = ingest.until(lambda _, body: body.get("status") == "degraded")
    assert warned["warnings"]["ingest.database"]
    if how == "killed":
        world.postgres.start()
    else:
        _signal_all(pid, signal.SIGCONT)
    for process in (*needs, ingest):
        process.until(lambda status, body: (status, body["status"]) == (200, "ok"))


def _signal_all(postmaster: int, number: signal.Signals) -> None:
    """The postmaster and, where they have to hang with it, its backends."""
    if number is not signal.SIGKILL:
        for child in subprocess.run(
            ["pgrep", "-P", str(postmaster)], capture_output=True, check=False
        ).stdout.split():
            os.kill(int(child), number)
    os.kill(postmaster, number)


def test_a_stop_that_hangs_is_cut_short(world: World) -> None:
    world.postgres.start()
    asyncio.run(migrate(world.postgres.url()))
    process = world.start("funnel", "relay", HEADWAY_STOP_SECONDS="2")
    process.until(ready)
    pid = world.postgres.running_pid()
    assert pid is not None
    _signal_all(pid, signal.SIGSTOP)
    process.until(lambda status, _: status == 503)
    code, errors = process.stop()
    assert code == 1, errors
    assert "stop_overdue" in errors


def test_a_second_signal_ends_it_at_once(world: World) -> None:
    world.postgres.start()
    asyncio.run(migrate(world.postgres.url()))
    process = world.start("reporting", "api", HEADWAY_DRAIN_SECONDS="60")
    process.until(ready)
    process.process.send_signal(signal.SIGTERM)
    told = process.until(lambda status, _: status == 503)
    assert told["status"] == "draining"
    process.process.send_signal(signal.SIGTERM)
    process.process.communicate(timeout=20)
    assert process.process.returncode == -signal.SIGTERM
