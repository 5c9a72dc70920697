"""The spool's disk fails: while the log is well nobody is refused, and nothing overtakes."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from services.ingest.app.ports import SpoolFull
from tests.unit.ingest.spool.failing import door
from tests.unit.ingest.spool.frames import candidate


async def test_the_sample_goes_to_the_log_while_the_spool_takes_nothing(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        at.disk.full = True
        for number in range(5):
            await at.send(candidate(number, f"D-{number}"))
            await at.send(candidate(number, f"D-{number}"))
        assert at.log.ids == [f"e-{number}" for number in range(5) for _ in range(2)]
        assert "takes no more" in (at.spool.refuses() or "")


async def test_a_batch_is_not_refused_for_one_deal_of_the_sample(tmp_path: Path) -> None:
    async with door(tmp_path, spool_sample=100) as at:
        at.disk.full = True
        await at.send(*(candidate(number, f"D-{number}") for number in range(400)))
        assert at.disk.writes == 1, "none of these deals is of the sample"
        assert sorted(at.log.ids) == sorted(f"e-{number}" for number in range(400))


async def test_a_failing_spool_is_left_alone_for_a_while_and_then_tried_again(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as at:
        at.disk.full = True
        for number in range(3):
            await at.send(candidate(number))
        assert at.disk.writes == 1
        at.clock.advance(timedelta(seconds=5))
        await at.send(candidate(3))
        assert at.disk.writes == 2
        at.disk.full = False
        at.clock.advance(timedelta(seconds=5))
        await at.send(candidate(4))
        await at.until(lambda: not len(at.spool))
        assert (at.disk.writes, at.spool.refuses()) == (3, None)
        assert at.log.ids == [f"e-{number}" for number in range(5)]


async def test_a_spool_at_its_limit_is_no_sample_s_way(tmp_path: Path) -> None:
    async with door(tmp_path, spool_max_bytes=0) as at:
        await at.send(candidate(1))
        assert (at.log.ids, at.disk.writes) == (["e-1"], 0)


async def test_a_disk_that_hangs_costs_one_wait_and_what_comes_late_has_one_effect(
    tmp_path: Path,
) -> None:
    go = threading.Event()
    async with door(tmp_path, spool_deadline=0.05) as at:
        at.disk.before = lambda: go.wait(30)
        for number in range(3):
            await at.send(candidate(number))
        assert at.log.ids == ["e-0", "e-1", "e-2"]
        assert (at.disk.writes, "not answer" in (at.spool.refuses() or "")) == (1, True)
        go.set()
        await at.until(lambda: len(at.log.ids) == 4)
        assert (at.log.ids[3], at.spool.refuses()) == ("e-0", None)


async def test_no_event_overtakes_one_of_its_deal_that_waits(tmp_path: Path) -> None:
    """Frames of its deal cannot be read: it would be the first in the log, so it is refused."""
    async with door(tmp_path, spool_sample=0) as at:
        at.log.down = True
        await at.send(candidate(1, "D"))
        at.disk.full = at.disk.broken = True
        await at.until(lambda: not at.spool.log.down)
        at.log.down = False
        with pytest.raises(SpoolFull):
            await at.send(candidate(2, "D"))
        await at.send(candidate(3, "other"))
        assert at.log.ids == ["e-3"], "another deal has nobody to overtake"
        at.disk.full = at.disk.broken = False
        await at.until(lambda: not len(at.spool))
        await at.send(candidate(2, "D"))
        assert at.log.ids == ["e-3", "e-1", "e-2"]


async def test_events_of_one_deal_that_fail_together_keep_their_order(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        at.disk.full = True
        await asyncio.gather(*(at.send(candidate(number)) for number in range(5)))
        assert at.log.ids == [f"e-{number}" for number in range(5)]


async def test_only_without_both_is_an_event_refused_and_only_for_as_long(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        at.disk.full = at.log.down = True
        for _ in range(2):
            with pytest.raises(SpoolFull):
                await at.send(candidate(1))
        at.log.down = False
        await at.send(candidate(1))
        assert at.log.ids == ["e-1"]
        assert not at.spool.log.down
