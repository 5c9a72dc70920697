"""An open loop of requests at a fixed rate, and what each one had to wait for."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter

import httpx

from tests.bench.latency.cpu import Spent, between
from tests.bench.latency.traffic import BATCH, Event, Traffic

WARM_SECONDS, SETTLE_SECONDS = 30.0, 60.0
EVERY = 3
"""One batch in three is looked for when it is visible, another one raises an alert."""


@dataclass
class Waits:
    """Seconds. `visible` and `alerted` begin with a request's 202, the others with its sending;
    `late` is how far behind its time a request was sent."""

    accepted: list[float] = field(default_factory=list)
    visible: list[float] = field(default_factory=list)
    alerted: list[float] = field(default_factory=list)
    visible_from_sending: list[float] = field(default_factory=list)
    alerted_from_sending: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)


@dataclass
class Run:
    """One shape under load, at `rate` events a second for `seconds` after the warm-up."""

    http: httpx.AsyncClient
    rate: float
    seconds: float
    waits: Waits = field(default_factory=Waits)
    spent: Callable[[], Spent] = dict
    alerts: dict[str, "asyncio.Future[float]"] = field(default_factory=dict)
    refused: int = 0
    cpu: Spent = field(default_factory=dict)
    """Seconds of a processor by process, from the first request of the load to the last answer."""

    async def measure(self) -> Waits:
        traffic = Traffic()
        for batch in traffic.first():
            await self._post(batch)
            last = batch[-1]
        await self._folded(last)
        async with self._listening():
            before = self.spent()
            await self._load(traffic)
            self.cpu = between(before, self.spent())
        return self.waits

    async def _load(self, traffic: Traffic) -> None:
        started, pause = perf_counter(), BATCH / self.rate
        async with asyncio.TaskGroup() as sent:
            for number in range(int((WARM_SECONDS + self.seconds) / pause)):
                due = started + number * pause
                await asyncio.sleep(max(0.0, due - perf_counter()))
                warm = number * pause < WARM_SECONDS
                sent.create_task(self._one(traffic, number, due, warm))

    async def _one(self, traffic: Traffic, number: int, due: float, warm: bool) -> None:
        """A batch on its way, until all that is measured of it has happened."""
        batch, told = traffic.batch(number, number % EVERY == 1), Waits()
        subject = batch[0]["data"]["deal_id"]
        if number % EVERY == 1:
            self.alerts[subject] = asyncio.get_running_loop().create_future()
        told.late.append(perf_counter() - due)
        sent = perf_counter()
        await self._post(batch)
        accepted = perf_counter()
        told.accepted.append(accepted - sent)
        if number % EVERY == 0:
            await self._folded(batch[-1])
            seen = perf_counter()
            told.visible.append(seen - accepted)
            told.visible_from_sending.append(seen - sent)
        if number % EVERY == 1:
            seen = await asyncio.wait_for(self.alerts[subject], SETTLE_SECONDS)
            told.alerted.append(max(0.0, seen - accepted))
            told.alerted_from_sending.append(seen - sent)
        if not warm:
            self._keep(told)

    def _keep(self, told: Waits) -> None:
        for name, values in vars(told).items():
            getattr(self.waits, name).extend(values)

    async def _post(self, batch: Sequence[Event]) -> None:
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        body = json.dumps(batch).encode()
        answer = await self.http.post("/v1/events", content=body, headers=headers)
        while answer.status_code == 503:  # asks to send it again: that is part of the wait
            self.refused += 1
            await asyncio.sleep(float(answer.headers["Retry-After"]))
            answer = await self.http.post("/v1/events", content=body, headers=headers)
        if answer.status_code != 202 or answer.json()["rejected"]:
            raise RuntimeError(f"not accepted: {answer.text}")

    async def _folded(self, event: Event) -> None:
        params = {"source": event["source"], "wait": "folded", "timeout": 30}
        answer = await self.http.get(f"/v1/events/{event['id']}", params=params)
        if answer.json().get("state") != "folded":
            raise RuntimeError(f"not folded: {answer.text}")

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        """Inside, alerts are heard as a client of the stream hears them."""
        async with self.http.stream("GET", "/v1/stream?topics=alerts", timeout=None) as stream:
            lines = stream.aiter_lines()
            await anext(lines)
            hearing = asyncio.create_task(self._hear(lines))
            try:
                yield
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)

    async def _hear(self, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            if line.startswith("data: ") and "subject" in (told := json.loads(line[6:])):
                heard = self.alerts.get(told["subject"])
                if heard is not None and not heard.done():
                    heard.set_result(perf_counter())
