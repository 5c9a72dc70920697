"""`python -m services.<name>` as an operator starts it: serves, works, stops when told."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
import stamina

pytestmark = [pytest.mark.postgres, pytest.mark.e2e]


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> Mapping[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")},
        "HEADWAY_DATABASE_URL": database_url,
        "HEADWAY_SECRET_KEY": "a-secret-key-for-tests-of-32-chars-or-more",
        "HEADWAY_DATA_DIR": str(tmp_path),
        "HEADWAY_PORT": str(free_port()),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def started(
    environment: Mapping[str, str], request: pytest.FixtureRequest
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process of `(service, command)` and its URL, once it says that it is alive."""
    service, command = request.param
    arguments = [sys.executable, "-m", f"services.{service}", command]
    process = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{environment['HEADWAY_PORT']}"
    try:
        alive(url, process)
        yield process, url
    finally:
        process.kill()
        process.communicate()


@stamina.retry(on=httpx.TransportError, attempts=None, timeout=30, wait_max=0.2)
def alive(url: str, process: subprocess.Popen[bytes]) -> None:
    assert process.poll() is None, process.communicate()[1].decode()
    httpx.get(f"{url}/livez", trust_env=False).raise_for_status()


def until_ready(url: str) -> None:
    """Wait for `/readyz`."""
    for attempt in stamina.retry_context(on=httpx.HTTPError, attempts=None, timeout=30):
        with attempt:
            httpx.get(f"{url}/readyz", trust_env=False).raise_for_status()


EACH = [
    ("ingest", "api"),
    ("ingest", "consumer"),
    ("funnel", "relay"),
    ("funnel", "worker"),
    ("reporting", "api"),
]


@pytest.mark.parametrize("started", EACH, indirect=True, ids=map(" ".join, EACH))
def test_it_serves_health_and_stops_when_told(
    started: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, url = started
    until_ready(url)
    assert "headway_" in httpx.get(f"{url}/metrics", trust_env=False).text
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors.decode()


def test_a_process_refuses_a_database_that_was_not_migrated(
    environment: Mapping[str, str], postgres_server_url: str
) -> None:
    there = {**environment, "HEADWAY_DATABASE_URL": postgres_server_url}
    command = [sys.executable, "-m", "services.ingest", "api"]
    done = subprocess.run(command, env=there, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr.decode()
    assert b"run the migrations" in done.stderr


def test_migrate_runs_as_a_process(environment: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "services.ingest", "migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
