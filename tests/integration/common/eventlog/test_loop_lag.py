"""The lag that is shown grows while a consumer is stuck, whatever it is stuck at."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db import positions
from libs.common.db.errors import DatabaseUnavailable
from libs.common.db.positions import Fenced
from libs.common.eventlog.loop import Buried
from libs.common.eventlog.port import LogUnavailable, Record
from libs.common.retry import Backoff
from tests.integration.common.eventlog.rig import TOPIC, Rig

pytestmark = pytest.mark.postgres


class Stuck:
    """Fails each batch with `error`, six seconds after the one before, until it is `mended`."""

    def __init__(self, rig: Rig, error: Exception | None = None) -> None:
        self.rig, self.mended = rig, False
        self.error = error or DatabaseUnavailable("gone")
        rig.handler.misbehave = self

    async def __call__(self, _: AsyncConnection, __: Sequence[Record]) -> Sequence[Buried]:
        if self.mended:
            return ()
        passes(self.rig, 6)
        raise self.error


def passes(rig: Rig, seconds: float) -> None:
    rig.clock.advance(timedelta(seconds=seconds))  # type: ignore[attr-defined]


def seconds(rig: Rig) -> float:
    return REGISTRY.get_sample_value("headway_consumer_lag_seconds", {"group": rig.group}) or 0


def records(rig: Rig) -> float:
    labels = {"group": rig.group, "topic": TOPIC, "partition": "0"}
    return REGISTRY.get_sample_value("headway_consumer_lag_records", labels) or 0


async def until_behind(rig: Rig, least: float) -> None:
    async def behind() -> bool:
        return seconds(rig) >= least

    await rig.until(behind)


async def until_level(rig: Rig) -> None:
    async def level() -> bool:
        passes(rig, 6)
        return (seconds(rig), records(rig)) == (0, 0) and await rig.position() > 0

    await rig.until(level)


async def test_it_grows_while_a_commit_is_retried(timed: Rig) -> None:
    """The group was level an hour ago: what counts is since when a record waits."""
    async with timed.running(timed.loop()):
        await timed.send("before")
        await until_level(timed)
        passes(timed, 3600)
        stuck = Stuck(timed)
        await timed.send("a", "b")
        await until_behind(timed, 120)
        assert seconds(timed) < 600
        assert records(timed) == 2
        await timed.send("c")
        await until_behind(timed, 240)
        assert records(timed) == 3
        stuck.mended = True
        await until_level(timed)


async def test_it_grows_while_the_log_is_away_too(
    timed: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with an embedded log, whose database is the same one."""
    stuck, there = Stuck(timed), timed.log.ends

    async def away(_: str) -> Any:
        raise LogUnavailable("away")

    await timed.send("a", "b")
    async with timed.running(timed.loop()):
        await timed.until(lambda: _tried(timed))
        monkeypatch.setattr(timed.log, "ends", away)
        shown = seconds(timed)
        await until_behind(timed, shown + 120)
        assert records(timed) == 2
        monkeypatch.setattr(timed.log, "ends", there)
        stuck.mended = True
        await until_level(timed)


async def test_after_a_restart_the_first_record_that_is_read_counts(timed: Rig) -> None:
    await timed.send("a")
    passes(timed, 3600)
    Stuck(timed)
    async with timed.running(timed.loop()):
        await until_behind(timed, 3600)
        assert records(timed) == 1


async def test_an_idle_loop_reads_on_while_the_database_is_away(
    timed: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would give up its partitions, and nobody would see what comes."""
    there = positions.mark_idle

    async def away(*_: object) -> None:
        passes(timed, 6)
        raise DatabaseUnavailable("gone")

    async with timed.running(timed.loop()):
        await timed.send("before")
        await until_level(timed)
        monkeypatch.setattr(positions, "mark_idle", away)
        stuck = Stuck(timed)
        passes(timed, 6)
        await timed.send("a")
        await until_behind(timed, 120)
        assert len(timed.log.groups[timed.group]) == 1
        stuck.mended = True
        monkeypatch.setattr(positions, "mark_idle", there)
        await until_level(timed)


async def test_it_grows_while_no_session_begins(
    timed: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can be asked: what was behind is so by the time that has passed."""
    stuck, there = Stuck(timed), positions.claim

    async def away(*_: object, **__: object) -> Any:
        passes(timed, 6)
        raise DatabaseUnavailable("gone")

    await timed.send("a")
    async with timed.running(timed.loop()):
        await until_behind(timed, 60)
        monkeypatch.setattr(positions, "claim", away)
        stuck.error = Fenced("taken over")
        await until_behind(timed, 600)
        monkeypatch.setattr(positions, "claim", there)
        stuck.mended = True
        await until_level(timed)


async def test_a_loop_that_is_told_to_stop_asks_no_more(
    timed: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that is silent would hold the end of the process up."""
    there, asked = timed.log.ends, list[str]()

    async def noted(topic: str) -> Any:
        asked.append(topic)
        return await there(topic)

    monkeypatch.setattr(Backoff, "delay", lambda _: 60)
    Stuck(timed)
    await timed.send("a")
    async with timed.running(timed.loop()):
        await timed.until(lambda: _tried(timed, 1))
        monkeypatch.setattr(timed.log, "ends", noted)
    assert asked == []


async def _tried(rig: Rig, times: int = 3) -> bool:
    return len(rig.handler.batches) >= times
