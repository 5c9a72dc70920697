"""Ready to accept: the log or the spool takes events. Only without both is a process not ready."""

from datetime import timedelta
from pathlib import Path

import pytest

from libs.common.runtime import Check
from services.ingest.app.ports import SpoolFull
from services.ingest.entrypoints.checks import LATELY, acceptance_check, spool_check
from tests.unit.ingest.spool.failing import Door, door
from tests.unit.ingest.spool.frames import candidate


def says(fault: str | None) -> Check:
    async def check() -> str | None:
        return fault

    return check


async def ready(at: Door, log: str | None) -> str | None:
    return await acceptance_check(at.spools, says(log))()


async def test_a_process_that_has_never_tried_is_ready(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        assert await ready(at, None) is None
        assert await ready(at, "the log is away") is None
        assert await spool_check(at.spools)() is None


async def test_a_failing_spool_is_only_told_while_the_log_is_well(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        at.disk.full = True
        await at.send(candidate(1))
        assert await ready(at, None) is None
        assert "takes no more" in (await spool_check(at.spools)() or "")


async def test_without_both_it_is_not_ready_and_says_why(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        at.disk.full = True
        await at.send(candidate(1))
        told = await ready(at, "the log is away")
        assert told is not None
        assert "takes no more" in told
        assert "the log is away" in told


async def test_a_log_that_answers_but_takes_nothing_is_not_well(tmp_path: Path) -> None:
    """Until it has taken something, or nobody has tried for a while: silence is no fault."""
    async with door(tmp_path) as at:
        at.disk.full = at.log.down = True
        with pytest.raises(SpoolFull):
            await at.send(candidate(1))
        assert await ready(at, None) is not None
        at.clock.advance(timedelta(seconds=LATELY + 1))
        assert await ready(at, None) is None
        with pytest.raises(SpoolFull):
            await at.send(candidate(1))
        at.log.down = False
        await at.send(candidate(1))
        assert await ready(at, None) is None


async def test_a_log_that_is_away_is_no_fault_while_the_spool_takes_events(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        at.log.down = True
        await at.send(candidate(1))
        assert await ready(at, "the log is away") is None
        at.log.down = False
        await at.until(lambda: not len(at.spool))
