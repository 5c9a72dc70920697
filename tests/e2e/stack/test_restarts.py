"""A rolling restart loses nothing; what dies comes back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from services.standalone.stack.table import PARTS
from tests.e2e.processes.stack import until
from tests.e2e.stack.launched import Launched, deals, event

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.kafka, pytest.mark.timeout(600)]
NAMES = [part.name for part in PARTS]


@dataclass
class Traffic:
    """Sends deals one by one and lists them, each request once; keeps every answer but 2xx."""

    client: httpx.Client
    sent: int = 0
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._flow, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _flow(self, over: threading.Event) -> None:
        while not over.wait(0.02):
            self.sent += 1
            self._ask("POST", "/v1/events", json=[event(self.sent)])
            self._ask("GET", "/v1/deals?limit=1")
            self._ask("GET", "/v1/funnel/conversion")

    def _ask(self, method: str, path: str, json: object = None) -> None:
        try:
            answer = self.client.request(method, path, json=json)
        except httpx.TransportError as error:
            self.failures.append(f"{method} {path}: {error!r}")
            return
        if not answer.is_success:
            self.failures.append(f"{method} {path}: {answer.text}")


def test_a_rolling_restart_of_everything_loses_nothing(
    stack: Launched, client: httpx.Client
) -> None:
    before, traffic = stack.processes(), Traffic(client)
    with traffic.flowing():
        stack.restart_all()
        until("restarted", lambda: "restarted everything" in stack.said(), 300, 0.2)
    after = stack.processes()
    assert {name for name in NAMES if after[name] == before[name]} == set()
    assert traffic.failures == []
    assert traffic.sent > 100
    wanted = {f"D-{number}" for number in range(1, traffic.sent + 1)}
    until("all are folded", lambda: deals(client) == wanted, 60, 0.2)


@pytest.mark.parametrize("name", ["funnel-consumer", "gateway", "alerts-scheduler"])
def test_what_is_killed_is_started_again(stack: Launched, client: httpx.Client, name: str) -> None:
    before = stack.processes()[name]
    stack.kill_one(name)

    def back() -> bool:
        try:
            with stack.operator() as operator:
                processes = operator.get("/v1/status").json().get("processes", {})
        except httpx.TransportError:
            return False
        other = stack.processes().get(name) not in (before, None)
        return other and processes and not any(told["faults"] for told in processes.values())

    until("it is back", back, 60, 0.2)
    client.post("/v1/events", json=[event(1)])
    until("folded", lambda: deals(client) == {"D-1"}, 60, 0.2)
