"""Between log and spool: no event of a key overtakes one that came before it."""

import asyncio
import threading
import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from libs.common.eventlog.port import LogUnavailable, NewRecord
from services.ingest.app.ports import SpoolFull
from services.ingest.app.spool import Spool
from tests.unit.ingest.spool.failing import Door, door
from tests.unit.ingest.spool.frames import candidate

Append = Callable[[str, Sequence[NewRecord]], Awaitable[Sequence[tuple[int, int]]]]
DEALS = [f"D-{number}" for number in range(20)]
SAMPLED = [deal for deal in DEALS if zlib.crc32(candidate(0, deal).log_key) % 2 == 0]
OTHERS = [deal for deal in DEALS if deal not in SAMPLED]
"""With `spool_sample=2`: what takes the spool first, and what does not."""


class Held:
    """The first appends, one after another, each under way until it is let go, or fails."""

    def __init__(self, at: Door, appends: int = 1) -> None:
        self.under_way, self._fails = 0, set[int]()
        self._gates = [asyncio.Event() for _ in range(appends)]
        self._at, self._append = at, cast(Append, at.log.append)
        at.log.append = self._hold  # type: ignore[method-assign]

    async def _hold(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        number = self.under_way
        self.under_way += 1
        if number < len(self._gates):
            await self._gates[number].wait()
        if number in self._fails:
            raise LogUnavailable("scripted")
        return await self._append(topic, records)

    async def reached(self, append: int = 0) -> None:
        await self._at.until(lambda: self.under_way > append)

    def go(self, append: int = 0) -> None:
        self._gates[append].set()

    def fail(self, append: int = 0) -> None:
        self._fails.add(append)
        self.go(append)


async def turns(count: int) -> None:
    """Of the loop, so that whoever can go on has gone on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def all_of(*sending: asyncio.Task[None]) -> None:
    """Long before the log is given up."""
    async with asyncio.timeout(5):
        await asyncio.gather(*sending)


async def test_what_was_queued_behind_an_append_that_fails_follows_it(tmp_path: Path) -> None:
    async with door(tmp_path, spool_sample=0) as at:
        held = Held(at)
        first = asyncio.create_task(at.send(candidate(0)))
        await held.reached()
        second = asyncio.create_task(at.send(candidate(1)))
        other = asyncio.create_task(at.send(candidate(2, "other")))
        await at.until(lambda: at.acceptor.waiting == 2)
        held.fail()
        await all_of(first, second, other)
        await at.until(lambda: not len(at.spool))
        assert at.log.ids == ["e-2", "e-0", "e-1"], "nobody is ahead of the other deal's"


async def test_what_was_queued_behind_an_append_that_is_given_up_follows_it(tmp_path: Path) -> None:
    async with door(tmp_path, spool_sample=0, append_deadline=0.05) as at:
        held = Held(at)
        first = asyncio.create_task(at.send(candidate(0)))
        await held.reached()
        second = asyncio.create_task(at.send(candidate(1)))
        await at.until(lambda: len(at.spool) + len(at.log.ids) > 0)
        held.fail()
        await all_of(first, second)
        await at.until(lambda: not len(at.spool))
        assert at.log.ids == ["e-0", "e-1"]


async def test_a_log_that_is_found_down_meanwhile_sends_none_ahead_to_the_spool(
    tmp_path: Path,
) -> None:
    async with door(tmp_path, spool_sample=2) as at:
        held = Held(at)
        first = asyncio.create_task(at.send(candidate(0, OTHERS[0])))
        await held.reached()
        at.log.down = True
        await at.send(candidate(1, SAMPLED[0]))
        await at.until(lambda: at.spool.log.down)
        second = asyncio.create_task(at.send(candidate(2, OTHERS[0])))
        await at.until(lambda: at.acceptor.waiting == 1 or len(at.spool) == 2)
        held.fail()
        await all_of(first, second)
        at.log.down = False
        await at.until(lambda: not len(at.spool))
        assert at.log.ids == ["e-1", "e-0", "e-2"]


async def test_what_a_batch_spools_does_not_wait_for_what_it_appends(tmp_path: Path) -> None:
    async with door(tmp_path, spool_sample=2) as at:
        held = Held(at)
        batch = [candidate(0, OTHERS[0]), candidate(1, SAMPLED[0])]
        first = asyncio.create_task(at.send(*batch))
        await held.reached()
        second = asyncio.create_task(at.send(candidate(2, SAMPLED[0])))
        await at.until(lambda: "e-2" in at.log.ids)
        held.go()
        await all_of(first, second)
        await at.until(lambda: not len(at.spool))
        assert at.log.ids == ["e-1", "e-2", "e-0"]


async def test_a_disk_that_recovers_writes_nothing_before_what_it_has_failed(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as at:
        held, fail = Held(at), threading.Event()

        def once() -> None:
            if at.disk.writes == 1:
                assert fail.wait(10)
                raise SpoolFull("scripted")

        at.disk.before = once
        first = asyncio.create_task(at.send(candidate(0)))
        await at.until(lambda: at.disk.writes == 1)
        second = asyncio.create_task(at.send(candidate(1)))
        await turns(20)
        fail.set()
        await held.reached()
        await at.until(lambda: at.acceptor.waiting == 1 or len(at.log.ids) == 1)
        held.go()
        await all_of(first, second)
        await at.until(lambda: not len(at.spool))
        assert at.log.ids == ["e-0", "e-1"]


async def test_none_overtakes_what_was_spooled_while_it_was_queued(tmp_path: Path) -> None:
    async with door(tmp_path, spool_sample=0, max_group=1) as at:
        held = Held(at, 2)
        at.disk.broken = True
        first = asyncio.create_task(at.send(candidate(0)))
        await held.reached()
        others = [
            asyncio.create_task(at.send(candidate(n, deal))) for n, deal in ((1, "x"), (2, "D"))
        ]
        await at.until(lambda: at.acceptor.waiting == 2)
        held.fail()
        await first
        await held.reached(1)
        held.go(1)
        await all_of(*others)
        assert at.log.ids == ["e-1"], "the spool is not drained: its deal waits there"
        at.disk.broken = False
        await at.until(lambda: not len(at.spool))
        assert at.log.ids == ["e-1", "e-0", "e-2"]


async def test_behind_one_that_goes_to_the_spool_nobody_waits_for_the_log(tmp_path: Path) -> None:
    async with door(tmp_path, spool_sample=0) as at:
        held, write = Held(at, 2), threading.Event()
        at.disk.before = lambda: write.wait(10)
        first = asyncio.create_task(at.send(candidate(0)))
        await held.reached()
        other = asyncio.create_task(at.send(candidate(1, "other")))
        await at.until(lambda: at.acceptor.waiting == 1)
        held.fail()
        await held.reached(1)
        await at.until(lambda: at.disk.writes == 1)
        second = asyncio.create_task(at.send(candidate(2)))
        await turns(20)
        write.set()
        await all_of(first, second)
        held.go(1)
        await all_of(other)
        await at.until(lambda: not len(at.spool))
        assert [name for name in at.log.ids if name != "e-1"] == ["e-0", "e-2"]


async def test_behind_one_that_the_spool_did_not_take_nobody_asks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with door(tmp_path) as at:
        held = Held(at)
        at.disk.full = True
        first = asyncio.create_task(at.send(candidate(0)))
        await held.reached()
        monkeypatch.setattr(Spool, "put", lambda *_: pytest.fail("it is asked"))
        at.clock.advance(timedelta(seconds=5))
        second = asyncio.create_task(at.send(candidate(1)))
        await at.until(lambda: at.acceptor.waiting == 1)
        held.go()
        await all_of(first, second)
        assert at.log.ids == ["e-0", "e-1"]


async def test_a_batch_is_answered_for_what_its_spool_does_not_take(tmp_path: Path) -> None:
    """Its other part is in the log, and a repetition harmless."""
    async with door(tmp_path, spool_sample=2) as at:
        at.disk.full = True
        await at.send(candidate(0, OTHERS[0]), candidate(1, SAMPLED[0]))
        assert sorted(at.log.ids) == ["e-0", "e-1"]
