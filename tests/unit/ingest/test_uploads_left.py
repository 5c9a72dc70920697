"""Bodies of uploads that never became imports: gone soon after a start, and nobody else's."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from libs.common.clock import FakeClock
from services.ingest.adapters.import_files import ImportFiles
from services.ingest.entrypoints.import_worker import SWEEP_AGE, SWEEP_EVERY, ImportWorker
from services.ingest.settings import IngestSettings

ID = UUID(int=7)
NAME = f"{ID}.ndjson"
OLD = SWEEP_AGE + 1


class World:
    """A worker without imports over a folder; `asked` is called when it asks for running ones."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, FakeClock(datetime.now(UTC))
        self.files = ImportFiles(folder, IngestSettings())
        self.running_bodies, self.stop = set[str](), asyncio.Event()
        self.asked: Callable[[], object] = lambda: None
        own, settings = cast(Any, self), IngestSettings(import_poll=0)
        self.worker = ImportWorker(own, own, self.files, self.clock, settings)

    async def turn(self) -> list[str]:
        """What is left once the worker has looked once."""
        self.stop.clear()
        await self.worker.run(self.stop)
        return sorted(file.name for file in self.folder.iterdir())

    async def running_paths(self) -> set[str]:
        self.asked()
        return self.running_bodies

    async def running(self) -> int:
        return 0

    async def claim(self) -> None:
        self.stop.set()

    def put(self, name: str, age: float) -> None:
        (self.folder / name).write_bytes(b"{}\n")
        self.ages(name, age)

    def ages(self, name: str, age: float) -> None:
        at = self.clock.now().timestamp() - age
        os.utime(self.folder / name, (at, at))


async def received(world: World, held: ExitStack) -> None:
    """By another process on the same folder; long ago."""

    async def body() -> AsyncIterator[bytes]:
        yield b"{}\n"

    other = ImportFiles(world.folder, IngestSettings())
    assert await other.receive(ID, body(), "identity", held) == (NAME, 3)
    world.ages(NAME, OLD)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_start_takes_what_killed_processes_left(world: World) -> None:
    world.running_bodies = {"runs.ndjson"}
    for name in ("runs.ndjson", "no-import.ndjson", "half.ndjson.part"):
        world.put(name, OLD)
    assert await world.turn() == ["runs.ndjson"]


async def test_what_was_written_just_now_goes_a_minute_later(world: World) -> None:
    """Of a commit whose answer was lost the import may still come."""
    world.put("no-import.ndjson", 0)
    assert await world.turn() == ["no-import.ndjson"]
    world.clock.advance(timedelta(seconds=max(OLD, SWEEP_EVERY)))
    assert await world.turn() == []


async def test_an_upload_that_lives_is_nobody_s_to_take_until_its_import_is_known(
    world: World,
) -> None:
    with ExitStack() as held:
        await received(world, held)
        assert await world.turn() == [NAME]
        world.running_bodies = {NAME}
    world.clock.advance(timedelta(seconds=SWEEP_EVERY))
    assert await world.turn() == [NAME]


async def test_an_import_that_becomes_known_while_a_sweep_looks_keeps_its_body(
    world: World,
) -> None:
    """Its row comes right behind the sweep's question, and its upload ends."""
    with ExitStack() as held:
        await received(world, held)
        world.asked = held.close
        assert await world.turn() == [NAME]
