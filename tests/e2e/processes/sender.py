"""A sender as integrators write one: batches, in order, again after a 503 until they are taken."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import orjson

from tests.e2e.processes.stream import Event

BATCH = "application/cloudevents-batch+json"
PROMISED = 4.0
"""Seconds in which every request is answered, whatever is away."""


@contextmanager
def client(url: str, key: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as opened:
        yield opened


def misbehaved(slowest: float, unanswered: int) -> list[str]:
    """What is wrong with the answers, of which the last took `slowest` seconds."""
    late = [f"an answer took {slowest:.1f} s"] if slowest > PROMISED else []
    return late + ([f"{unanswered} requests were not answered"] if unanswered else [])


@dataclass
class Sender:
    """What became of the deliveries; `refused` are the `Retry-After` of each 503."""

    accepted: int = 0
    duplicates: int = 0
    refused: list[str | None] = field(default_factory=list)
    codes: set[str | None] = field(default_factory=set)
    unreached: int = 0
    slowest: float = 0.0
    """Seconds that a request took at most, also one to which no answer came."""

    def send(self, to: httpx.Client, events: Sequence[Event], size: int = 100) -> None:
        for start in range(0, len(events), size):
            self.deliver(to, events[start : start + size])

    def deliver(self, to: httpx.Client, events: Sequence[Event], seconds: float = 120) -> None:
        """One batch, until its answer is a 202."""
        deadline = time.monotonic() + seconds
        while not self._taken(to, events):
            assert time.monotonic() < deadline, "nobody takes the batch"
            time.sleep(0.2)  # less than the Retry-After: an impatient sender

    def _taken(self, to: httpx.Client, events: Sequence[Event]) -> bool:
        started = time.monotonic()
        try:
            answer = to.post("/v1/events", content=orjson.dumps(list(events)),
                             headers={"Content-Type": BATCH})  # fmt: skip
        except httpx.TransportError:
            self.unreached += 1
            return False
        finally:
            self.slowest = max(self.slowest, time.monotonic() - started)
        if answer.status_code == 503:
            self.refused.append(answer.headers.get("Retry-After"))
            self.codes.add(answer.json()["code"])
            return False
        assert answer.status_code == 202, answer.text
        verdicts = answer.json()
        assert verdicts["rejected"] == 0, answer.text
        self.accepted += verdicts["accepted"]
        self.duplicates += verdicts["duplicates"]
        return True

    def misbehaved(self) -> list[str]:
        """Where nobody has killed ingest."""
        return misbehaved(self.slowest, self.unreached)
