"""Too many wait for the log: the spool is asked before anybody is refused."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from libs.common.eventlog.port import NewRecord
from services.ingest.app.grouped import Overloaded
from tests.unit.ingest.spool.failing import Door, door
from tests.unit.ingest.spool.frames import candidate

ROOM = 4
"""Events that may wait; of one tenant alone half as many."""


@asynccontextmanager
async def crowded(path: Path, **settings: Any) -> AsyncIterator[tuple[Door, asyncio.Event]]:
    """A log that is held back until it is let go, and as many before it as may wait: e-0 to e-2."""
    go, reached = asyncio.Event(), asyncio.Event()
    async with door(path, spool_sample=0, max_waiting=ROOM, **settings) as at:
        append = at.log.append

        async def held(topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
            reached.set()
            await go.wait()
            return await append(topic, records)

        at.log.append = held  # type: ignore[method-assign]
        waiting = [asyncio.create_task(at.send(candidate(0, "D-0")))]
        await reached.wait()
        waiting += [asyncio.create_task(at.send(candidate(n, f"D-{n}"))) for n in (1, 2)]
        await at.until(lambda: at.acceptor.waiting == ROOM // 2)
        try:
            yield at, go
        finally:
            go.set()
            await asyncio.gather(*waiting)


async def test_what_finds_no_room_before_the_log_goes_to_the_spool_at_once(tmp_path: Path) -> None:
    async with crowded(tmp_path) as (at, go):
        async with asyncio.timeout(10):
            await at.send(candidate(3, "D-3"), candidate(4, "D-4"))
        assert (at.disk.writes, at.acceptor.waiting) == (1, ROOM // 2)
        assert not at.spool.log.down, "that many wait says nothing of the log"
        go.set()
        await at.until(lambda: not len(at.spool))
        assert sorted(at.log.ids) == [f"e-{n}" for n in range(5)]


async def test_only_where_the_spool_refuses_as_well_is_anybody_refused(tmp_path: Path) -> None:
    async with crowded(tmp_path) as (at, go):
        at.disk.full = True
        with pytest.raises(Overloaded):
            await at.send(candidate(3, "D-3"))
        assert at.disk.writes == 1
        go.set()
        await at.until(lambda: at.acceptor.waiting == 0)
        assert "e-3" not in at.log.ids


async def test_a_disk_that_hangs_refuses_within_its_deadline(tmp_path: Path) -> None:
    answers = threading.Event()
    async with crowded(tmp_path, spool_deadline=0.05) as (at, _):
        at.disk.before = lambda: answers.wait(30)
        async with asyncio.timeout(10):
            with pytest.raises(Overloaded):
                await at.send(candidate(3, "D-3"))
        assert at.disk.writes == 1
        answers.set()


async def test_nobody_overtakes_one_of_its_deal_that_waits_for_the_log(tmp_path: Path) -> None:
    async with crowded(tmp_path) as (at, go):
        with pytest.raises(Overloaded):
            await at.send(candidate(3, "D-2"))
        go.set()
        await at.until(lambda: at.acceptor.waiting == 0)
        await at.send(candidate(3, "D-2"))
        await at.until(lambda: not len(at.spool))
        assert at.log.ids.index("e-2") < at.log.ids.index("e-3")
