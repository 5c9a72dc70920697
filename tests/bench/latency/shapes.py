"""Both shapes, started as users start them, without anything in them."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.bench.latency.cpu import Process, Spent, spent
from tests.bench.latency.measuring import Run, Waits
from tests.bench.latency.traffic import PIPELINE, RULE
from tests.e2e.stack.launched import Launched
from tests.e2e.standalone.headway import Headway

CLIENT = "the client"
SHAPES: Mapping[str, Callable[[Path], Headway]] = {
    "one process (make run)": lambda folder: Headway(folder, ("--no-demo",)),
    "separate processes (make stack)": Launched,
}


@dataclass(frozen=True)
class Measured:
    """One shape's waits, and seconds of a processor by process."""

    waits: Waits
    cpu: Spent


async def latency(
    rate: float, seconds: float, say: Callable[[str], None]
) -> Mapping[str, Measured]:
    """Each shape by itself, one after the other."""
    found = {}
    for name, make in SHAPES.items():
        say(f"{name}: {rate:g} events/s for {seconds:g} s")
        with tempfile.TemporaryDirectory(prefix="hwl") as folder, _started(make, folder) as started:
            async with _client(started.url, started.key) as http:
                run = Run(http, rate, seconds, spent=started.spent)
                found[name] = Measured(await run.measure(), run.cpu)
                say(f"{run.refused} requests were asked to come again")
    return found


@dataclass(frozen=True)
class Started:
    """A running shape: its first process, and the key of a new tenant."""

    pid: int
    url: str
    key: str

    def spent(self) -> Spent:
        """Seconds of a processor so far; ours, who send and read, beside those of the shape."""
        return {**spent(self.pid), CLIENT: Process.read(os.getpid()).seconds}


@contextmanager
def _started(make: Callable[[Path], Headway], folder: str) -> Iterator[Started]:
    """A running shape; its new tenant has a pipeline and a rule."""
    headway = make(Path(folder) / "data")
    try:
        headway.start()
        url = headway.summary["url"]
        key = _tenant(url, (headway.data_dir / "operator-key").read_text().strip())
        yield Started(headway.process.pid, url, key)
        headway.terminate()
    finally:
        headway.clean_up()


def _tenant(url: str, operator: str) -> str:
    with _by(url, operator) as http:
        made = http.post("/v1/tenants", json={"id": "bench", "currency": "EUR"})
        key: str = made.raise_for_status().json()["api_key"]
    with _by(url, key) as http:
        http.put("/v1/pipelines/b2b", json=PIPELINE).raise_for_status()
        http.put("/v1/rules/late", json=RULE).raise_for_status()
    return key


def _by(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)


def _client(url: str, key: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=500)
    return httpx.AsyncClient(
        base_url=url, headers=headers, timeout=60, limits=limits, trust_env=False
    )
