"""Rounds of all contestants one after the other, so that a noisy minute hits all of them."""

import gc
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from statistics import median

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import EventLog
from tests.bench import copying, funnel, hand_batched, outcome, per_event
from tests.bench.funnel import Progress
from tests.bench.outcome import Outcome
from tests.bench.scene import FEW, Scene
from tests.bench.stream import Told

FUNNEL, PER_EVENT, HAND_BATCHED, COPY = "funnel", "per-event", "hand-batched", "copy"
Say = Callable[[str], None]
Run = Callable[[EventLog, str, str, int, str], Awaitable[float]]


@dataclass
class Measured:
    """Events per second of each contestant, one figure per round, and the funnel's batches."""

    rates: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    batches: list[int] = field(default_factory=list)

    def median(self, name: str) -> float:
        return median(self.rates[name])

    def ratios(self, name: str) -> list[float]:
        """The funnel against `name`, round by round."""
        return [a / b for a, b in zip(self.rates[FUNNEL], self.rates[name], strict=True)]


@dataclass
class Rounds:
    """`few` is how many events the slow contestant gets; `say` is told of progress."""

    scene: Scene
    told: Sequence[Told]
    few: int
    say: Say
    measured: Measured = field(default_factory=Measured)
    _groups: Iterator[int] = field(default_factory=count)

    async def run(self, rounds: int) -> Measured:
        await self.scene.fill(CRM_EVENTS, self.told)
        await self.scene.fill(FEW, self.told[: self.few])
        await self._warm_up()
        for number in range(rounds):
            await self._round(number)
        return self.measured

    async def _warm_up(self) -> None:
        """Everybody once with few events; here the slow one is compared too."""
        _, expected = await self.funnel(FEW, self.few)
        for module in (per_event, hand_batched):
            _, found = await self._plain(module.run, FEW, self.few)
            outcome.assert_same(module.__name__, found, expected)
        self._expected_few = expected

    async def _round(self, number: int) -> None:
        progress, expected = await self.funnel(CRM_EVENTS, len(self.told))
        self.measured.batches += progress.batches
        self._note(number, FUNNEL, len(self.told), progress.seconds)
        seconds, found = await self._plain(per_event.run, FEW, self.few)
        outcome.assert_same(PER_EVENT, found, self._expected_few)
        self._note(number, PER_EVENT, self.few, seconds)
        seconds, found = await self._plain(hand_batched.run, CRM_EVENTS, len(self.told))
        outcome.assert_same(HAND_BATCHED, found, expected)
        self._note(number, HAND_BATCHED, len(self.told), seconds)
        await self._copy(number, expected)

    def _note(self, number: int, name: str, events: int, seconds: float) -> None:
        rate = events / seconds
        self.measured.rates[name].append(rate)
        self.say(f"round {number + 1}: {name} {rate:,.0f} events/s")

    async def funnel(self, topic: str, events: int) -> tuple[Progress, Outcome]:
        """One run of the funnel over everything in `topic`."""
        gc.collect()
        async with self.scene.database("bench_headway") as url:
            progress = await funnel.run(self.scene.log, topic, url, events)
            return progress, await outcome.funnel(url)

    async def _plain(self, run: Run, topic: str, events: int) -> tuple[float, Outcome]:
        gc.collect()
        async with self.scene.database("bench_plain") as url:
            seconds = await run(self.scene.log, topic, url, events, f"b{next(self._groups)}")
            return seconds, await outcome.plain(url)

    async def _copy(self, number: int, expected: Outcome) -> None:
        gc.collect()
        async with self.scene.database("bench_headway") as url:
            seconds = await copying.run(url, self.told)
            if await outcome.copied(url) != expected.events:
                raise AssertionError("COPY left events out")
        self._note(number, COPY, expected.events, seconds)
