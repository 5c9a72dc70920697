"""Senders that go on through an outage: each has deals of its own, whose events it sends in order.

Every event of a deal carries its number, so that the topic tells the order, and REST the last one.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

import httpx
import orjson

from tests.e2e.processes.sender import BATCH, client, misbehaved
from tests.e2e.processes.sender import PROMISED as PROMISED
from tests.e2e.processes.stream import START, Event

_DEALS, _BATCH, _PAUSE = 40, 5, 0.1


@dataclass
class Answers:
    """What one sender was told."""

    acknowledged: list[Event] = field(default_factory=list)
    refused: list[tuple[str, str | None]] = field(default_factory=list)
    """Code and `Retry-After` of each 503."""
    repeats: int = 0
    unreached: int = 0
    """Requests to which no answer came."""
    slowest: float = 0.0
    """Seconds that a request took at most, also one to which no answer came."""
    failure: str | None = None


class Sender(threading.Thread):
    """One tenant's sender: a batch at a time, again until it is taken, then the next one."""

    def __init__(self, traffic: "Traffic", number: int, tenant: str, key: str) -> None:
        super().__init__(name=f"sender-{number}", daemon=True)
        self._traffic, self._number, self.tenant, self._key = traffic, number, tenant, key
        self._events = self._told()
        self.answers = Answers()

    def run(self) -> None:
        try:
            with client(self._traffic.url(self._number), self._key) as http:
                while not self._traffic.stopping.wait(_PAUSE):
                    self._deliver(http, [next(self._events) for _ in range(_BATCH)])
        except Exception as error:  # noqa: BLE001  told by the test, in its own thread
            self.answers.failure = repr(error)

    def _told(self) -> Iterator[Event]:
        """Deals in turn, so that a batch has several and a deal's events are far apart."""
        step = 0
        while True:
            for place in range(_DEALS):
                yield _event(f"S{self._number}-{place}", step, self._traffic.padding)
            step += 1

    def _deliver(self, http: httpx.Client, events: Sequence[Event]) -> None:
        deadline = time.monotonic() + 180
        while not self.taken(http, events):
            assert time.monotonic() < deadline, "nobody takes the batch"
            time.sleep(0.2)

    def taken(self, http: httpx.Client, events: Sequence[Event]) -> bool:
        answers, answer = self.answers, self._answered(http, events)
        if answer is None:
            return False
        if answer.status_code == 503:
            answers.refused.append((answer.json()["code"], answer.headers.get("Retry-After")))
            return False
        assert answer.status_code == 202, answer.text
        assert answer.json()["rejected"] == 0, answer.text
        answers.repeats += answer.json()["duplicates"]
        answers.acknowledged += events
        return True

    def _answered(self, http: httpx.Client, events: Sequence[Event]) -> httpx.Response | None:
        """Nothing where no answer came; the time counts however it ended."""
        started = time.monotonic()
        try:
            return self._sent(http, events)
        except httpx.TransportError:
            self.answers.unreached += 1
            return None
        finally:
            self.answers.slowest = max(self.answers.slowest, time.monotonic() - started)

    def _sent(self, http: httpx.Client, events: Sequence[Event]) -> httpx.Response:
        body = orjson.dumps(list(events))
        return http.post("/v1/events", content=body, headers={"Content-Type": BATCH})


def _event(deal: str, step: int, padding: str) -> Event:
    told = {"deal_id": deal}
    data: Event = told | (
        {"changes": {"attributes.step": step, "attributes.padding": padding}}
        if step
        else {"pipeline_id": "b2b", "stage_id": "lead", "name": deal, "amount": "1.00",
              "currency": "EUR"}
    )  # fmt: skip
    return {
        "specversion": "1.0", "id": f"{deal}-{step}", "source": "/crm/outage",
        "type": "deal.updated" if step else "deal.created",
        "time": (START + timedelta(minutes=step)).isoformat(), "sequence": str(step), "data": data,
    }  # fmt: skip


class Traffic:
    """Senders of all tenants against one ingest, or several in turn; stops at the block's end."""

    def __init__(
        self, keys: Mapping[str, str], urls: Sequence[str], senders: int = 4, padding: int = 0
    ) -> None:
        self._urls, self.padding = list(urls), "x" * padding
        self.given_up: set[str] = set()
        """Ids of what was acknowledged and damaged since."""
        self.stopping = threading.Event()
        tenants = list(keys)
        named = (tenants[n % len(tenants)] for n in range(senders))
        self.senders = [Sender(self, n, name, keys[name]) for n, name in enumerate(named)]

    def url(self, number: int) -> str:
        return self._urls[number % len(self._urls)]

    def __enter__(self) -> Self:
        for sender in self.senders:
            sender.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Every batch that was begun is taken when this returns."""
        self.stopping.set()
        for sender in self.senders:
            sender.join(200)
            assert not sender.is_alive(), "a sender hangs"

    @property
    def accepted(self) -> int:
        return sum(len(sender.answers.acknowledged) for sender in self.senders)

    @property
    def refused(self) -> Sequence[tuple[str, str | None]]:
        return [told for sender in self.senders for told in sender.answers.refused]

    @property
    def repeats(self) -> int:
        return sum(sender.answers.repeats for sender in self.senders)

    @property
    def unreached(self) -> int:
        return sum(sender.answers.unreached for sender in self.senders)

    @property
    def slowest(self) -> float:
        return max(sender.answers.slowest for sender in self.senders)

    @property
    def failures(self) -> Sequence[str]:
        return [s.answers.failure for s in self.senders if s.answers.failure is not None]

    def misbehaved(self, *, killed: bool) -> list[str]:
        """What senders may not meet; only where ingest was `killed` may nobody answer them."""
        return misbehaved(self.slowest, 0 if killed else self.unreached)

    def acknowledged(self) -> Mapping[str, Sequence[Event]]:
        """What was answered 202, by tenant, each deal's events in their order."""
        found: dict[str, list[Event]] = {sender.tenant: [] for sender in self.senders}
        for sender in self.senders:
            found[sender.tenant] += sender.answers.acknowledged
        return found
