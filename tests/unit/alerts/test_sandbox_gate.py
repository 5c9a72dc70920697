"""The gate of sandboxes: what was accepted is folded before anything is judged or settled."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from libs.common.eventlog.port import Partition
from services.alerts.app import settling
from services.alerts.app.judging import Judged
from services.alerts.app.sandboxes import Sandboxes
from services.alerts.app.settling import Settling
from services.alerts.app.work import Acceptance, Imports, Sandbox
from tests.unit.alerts.facts import h

SANDBOX = Sandbox("t", h(0))


@dataclass
class World:
    """A log of one partition, its funnel, ingest, and whoever looks at them, in hours."""

    hour: float = 1
    end: int = 100
    folded_to: int = 100
    importing: bool = False
    ended: float | None = None
    unappended: float | None = None
    said: float | None = None
    judged: list[int] = field(default_factory=list)
    then: list[Callable[[], None]] = field(default_factory=list)
    """What happens after each look at ingest."""

    @asynccontextmanager
    async def across_tenants(self) -> AsyncIterator[None]:
        yield None

    @asynccontextmanager
    async def for_tenant(self, _: str) -> AsyncIterator[None]:
        yield None

    def work(self, _: Any) -> Any:
        return self

    async def topic_id(self, _: str) -> str:
        return "id"

    async def ends(self, topic: str) -> Mapping[Partition, Any]:
        return {Partition(topic, 0): SimpleNamespace(start=0, end=self.end)}

    async def now(self) -> datetime:
        return h(self.hour)

    async def busy_sandboxes(self) -> Sequence[Sandbox]:
        return [SANDBOX]

    async def acceptance(self) -> Acceptance:
        oldest = None if self.unappended is None else h(self.unappended)
        found = Acceptance(oldest, None if self.said is None else h(self.said))
        if self.then:
            self.then.pop(0)()
        return found

    async def imports(self, _: str) -> Imports:
        return Imports(int(self.importing), None if self.ended is None else h(self.ended))

    async def refolds(self, _: str) -> bool:
        return False

    async def folded(self, *_: str) -> Mapping[int, int]:
        return {0: self.folded_to}

    async def consumed(self, *_: str) -> Mapping[int, int]:
        return {0: 1_000_000}

    async def unpublished(self, _: Sandbox) -> bool:
        return False

    async def waits(self, _: Sandbox) -> bool:
        return False

    async def of_sandbox(self, *_: Any) -> Sequence[str]:
        return ["D"]

    async def bind(self, _: str, sandbox: bool = False) -> Any:
        return sandbox

    async def judge(self, *_: Any) -> Judged:
        self.judged.append(self.folded_to)
        return Judged()

    def sandboxes(self) -> Sandboxes:
        parts: Any = self
        return Sandboxes(parts, self.work, parts, parts)

    async def settled(self) -> bool:
        parts: Any = self
        return await Settling(parts, self.work, parts).settled(SANDBOX)

    def end_import(self) -> None:
        """It has brought 900 rows of which nothing is folded."""
        self.importing, self.ended, self.end, self.hour = False, self.hour + 1, 1_000, self.hour + 2


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(settling, "MOMENT", 0.0)
    return World()


async def test_what_an_import_brought_is_folded_before_anything_is_judged(world: World) -> None:
    steps, world.importing = world.sandboxes(), True
    assert not await steps.step()
    world.end_import()
    assert not await steps.step()
    world.folded_to = 1_000
    assert await steps.step()
    assert world.judged == [1_000]


async def test_so_it_is_if_it_began_after_the_ends_were_looked_at(world: World) -> None:
    steps, world.folded_to = world.sandboxes(), 99
    assert not await steps.step()
    world.end_import()
    world.folded_to = 100
    assert not await steps.step()
    world.folded_to = 1_000
    assert await steps.step()
    assert world.judged == [1_000]


async def test_live_events_after_the_look_wait_for_the_next_one(world: World) -> None:
    steps, world.folded_to = world.sandboxes(), 99
    assert not await steps.step()
    world.end, world.folded_to = 200, 100
    assert await steps.step()
    assert world.judged == [100]


async def test_an_import_that_ends_during_the_question_is_not_settled(world: World) -> None:
    world.importing, world.then = True, [world.end_import]
    assert not await world.settled()


async def test_what_leaves_the_spool_during_the_question_has_to_be_folded(world: World) -> None:
    def drained() -> None:
        world.unappended, world.end = None, 101

    world.unappended, world.then = 0.5, [drained]
    assert not await world.settled()
    world.folded_to = 101
    assert await world.settled()


@pytest.mark.parametrize(("said", "settled"), [(0.9, False), (1, True), (None, True)])
async def test_each_process_of_ingest_has_to_have_spoken_since(
    world: World, said: float | None, settled: bool
) -> None:
    """Before it has, what it spooled for the answer that made somebody ask is not known."""
    world.said = said
    assert await world.settled() is settled
