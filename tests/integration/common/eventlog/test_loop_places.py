"""Positions: fenced, never skipped, never taken back, whatever readers and processes do."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import faults, metrics
from libs.common.db import positions
from libs.common.eventlog.loop import Buried, PositionLost, ReaderBroken
from libs.common.eventlog.memory_log import MemoryLog, MemoryReader
from libs.common.eventlog.port import Partition, Record, TopicChanged
from tests.integration.common.eventlog.rig import TOPIC, Rig, behave

pytestmark = pytest.mark.postgres
NAMES = [f"d{n:03}" for n in range(8)]
FIRST = Partition(TOPIC, 0)


class Crash(BaseException):
    """The process is gone: nothing may catch this."""


class CrashOnce:
    """Stands for an armed crash point, without taking the tests along."""

    def __init__(self, name: str) -> None:
        self.name = name

    def hit(self, name: str) -> None:
        if name == self.name:
            self.name = ""
            raise Crash(name)


class OddReader(MemoryReader):
    """Seeks to another place of the first partition than it is told."""

    def seek(self, partition: Partition, offset: int) -> None:
        odd = self._log
        assert isinstance(odd, OddLog)
        shift = odd.shifts.pop(0) if partition == FIRST and odd.shifts else 0
        super().seek(partition, offset + shift)


class OddLog(MemoryLog):
    """Its readers begin `shifts` records further, one shift per seek."""

    shifts: list[int]

    def reader(self, topics: Sequence[str], group: str | None, member: str) -> MemoryReader:
        return OddReader(self, topics, group, member)


class MuteReader(MemoryReader):
    async def read(self, max_records: int, max_wait: float) -> Sequence[Record]:
        log = self._log
        assert isinstance(log, MuteLog)
        if not log.mute:
            return await super().read(max_records, max_wait)
        await self._rebalance()
        await asyncio.sleep(3600 if log.silent else max_wait)
        return []

    async def start(self, *callbacks: object) -> None:
        log = self._log
        assert isinstance(log, MuteLog)
        log.mute = log.mute and log.readers < log.mute_readers
        log.readers += 1
        await super().start(*callbacks)  # type: ignore[arg-type]


class MuteLog(MemoryLog):
    """Its first `mute_readers` readers bring nothing; `silent` ones do not even come back."""

    mute, silent, readers, mute_readers = True, False, 0, 0

    def reader(self, topics: Sequence[str], group: str | None, member: str) -> MemoryReader:
        return MuteReader(self, topics, group, member)


def turned_into(rig: Rig, kind: type[MemoryLog]) -> MemoryLog:
    """The rig's log becomes one of another kind, with what it holds."""
    rig.log.__class__ = kind
    return rig.log


async def fenced_total(rig: Rig) -> float:
    return float(metrics.CONSUMER_FENCED.labels(rig.group)._value.get())


async def test_a_batch_is_kept_once_in_order_and_reported(rig: Rig) -> None:
    await rig.send(*NAMES)
    await rig.send("other", partition=1)
    async with rig.running(rig.loop()):
        await rig.until_kept(*NAMES, "other")
        await rig.until(lambda: _reported(rig))
    assert [name for batch in rig.handler.batches for name in batch if name != "other"] == NAMES
    assert await rig.position() == len(NAMES)
    assert metrics.CONSUMER_REBALANCES.labels(rig.group)._value.get() >= 1
    committed_at = metrics.CONSUMER_LAST_COMMIT.labels(rig.group)._value.get()
    assert rig.clock.now().timestamp() - 60 < committed_at <= rig.clock.now().timestamp()


async def _reported(rig: Rig) -> bool:
    return rig.log.reported[rig.group].get(FIRST) == len(NAMES)


async def test_a_next_process_goes_on_where_the_last_one_stopped(rig: Rig) -> None:
    await rig.send(*NAMES[:4])
    async with rig.running(rig.loop("m1")):
        await rig.until_kept(*NAMES[:4])
    await rig.send(*NAMES[4:])
    async with rig.running(rig.loop("m2")):
        await rig.until_kept(*NAMES)
    assert [name for batch in rig.handler.batches for name in batch] == NAMES


@pytest.mark.parametrize("point", ["loop.before_commit", "loop.after_commit", "loop.before_report"])
async def test_a_crash_repeats_nothing_and_loses_nothing(
    rig: Rig, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "_armed", CrashOnce(point))
    await rig.send(*NAMES)
    with pytest.raises(Crash):
        await rig.loop("m1").run(asyncio.Event())
    async with rig.running(rig.loop("m2")):
        await rig.until_kept(*NAMES)
        await rig.until(lambda: _at(rig, len(NAMES)))
    assert await rig.dead() == []


async def _at(rig: Rig, offset: int) -> bool:
    return await rig.position() == offset


async def test_a_zombie_is_refused_before_it_works(rig: Rig) -> None:
    """Another process claims the partition between two batches."""
    await rig.send(*NAMES[:4])
    async with rig.running(rig.loop("zombie")):
        await rig.until_kept(*NAMES[:4])
        async with rig.database.across_tenants() as tx:
            topic_id = await rig.log.topic_id(TOPIC)
            taken = await positions.claim(
                tx, "funnel", rig.group, FIRST, topic_id, start=0, owner="other"
            )
            worked = len(rig.handler.batches)
            before = await fenced_total(rig)
        await rig.send(*NAMES[4:])
        await rig.until_kept(*NAMES)
    assert taken.next_offset == 4
    assert await fenced_total(rig) == before + 1
    assert len(rig.handler.batches) == worked + 1  # not once for the zombie's attempt
    assert await rig.dead() == []


class SharedLog(MemoryLog):
    """Every reader believes that it holds everything: two processes, and nobody arbitrates."""

    def reader(self, topics: Sequence[str], group: str | None, member: str) -> MemoryReader:
        reader = super().reader(topics, group, member)
        reader.assign([Partition(TOPIC, n) for n in range(len(self.topic(TOPIC).records))])
        return reader


async def test_two_processes_on_one_partition_keep_each_record_once(rig: Rig) -> None:
    turned_into(rig, SharedLog)
    names = [f"d{n:04}" for n in range(200)]
    async with rig.running(rig.loop("m1")), rig.running(rig.loop("m2")):
        for start in range(0, 200, 10):
            await rig.send(*names[start : start + 10])
            await asyncio.sleep(0.005)
        await rig.until_kept(*names)
        await rig.until(lambda: _fenced(rig))  # whoever claimed first
    assert await rig.position() == 200
    assert await rig.dead() == []


async def _fenced(rig: Rig) -> bool:
    return await fenced_total(rig) >= 1


async def test_members_come_and_go(rig: Rig) -> None:
    names = [f"d{n:03}" for n in range(90)]
    async with rig.running(rig.loop("m1")):
        for turn in range(3):
            async with rig.running(rig.loop(f"guest{turn}")):
                part = names[turn * 30 : turn * 30 + 30]
                for partition in range(3):
                    await rig.send(*part[partition::3], partition=partition)
                await rig.until_kept(*part)
    assert [await rig.position(n) for n in range(3)] == [30, 30, 30]


async def test_records_that_come_twice_do_not_move_a_position_back(rig: Rig) -> None:
    async with rig.running(rig.loop()):
        rig.log.repeat_next = True
        await rig.send(*NAMES)
        await rig.until_kept(*NAMES)
        await rig.send("next")
        await rig.until_kept("next")
    assert await rig.position() == len(NAMES) + 1
    assert await rig.dead() == []


async def test_a_reader_that_begins_elsewhere_is_not_believed(rig: Rig) -> None:
    odd = turned_into(rig, OddLog)
    assert isinstance(odd, OddLog)
    odd.shifts = [2]  # the first seek goes wrong
    await rig.send(*NAMES)
    async with rig.running(rig.loop()):
        await rig.until_kept(*NAMES)
    assert rig.handler.batches == [NAMES]


async def test_a_hole_that_a_second_reader_finds_too_is_one(rig: Rig) -> None:
    odd = turned_into(rig, OddLog)
    assert isinstance(odd, OddLog)
    odd.shifts = [2, 2]  # in both sessions
    await rig.send(*NAMES)
    async with rig.running(rig.loop()):
        await rig.until_kept(*NAMES[2:])
    assert await rig.position() == len(NAMES)


async def test_what_retention_took_is_told_and_not_skipped(rig: Rig) -> None:
    await rig.send(*NAMES)
    async with rig.running(rig.loop()):
        await rig.until_kept(*NAMES)
    await rig.send("lost1", "lost2", "kept")
    rig.log.trim(FIRST, 10)
    with pytest.raises(PositionLost, match=r"stands at 8 of .*/0, but the log keeps \[10, 11\)"):
        async with rig.running(rig.loop()) as task:
            await task
    assert await rig.position() == 8
    assert "kept" not in await rig.kept()


async def test_another_topic_of_the_same_name_stops_the_loop(rig: Rig) -> None:
    await rig.send(*NAMES)
    async with rig.running(rig.loop()):
        await rig.until_kept(*NAMES)
    rig.log.recreate(TOPIC)
    await rig.send("other history")
    with pytest.raises(TopicChanged):
        async with rig.running(rig.loop()) as task:
            await task
    assert await rig.kept() == NAMES


async def test_a_topic_that_changes_under_the_reader_stops_the_loop(rig: Rig) -> None:
    await rig.send(*NAMES)
    with pytest.raises(TopicChanged):
        async with rig.running(rig.loop()) as task:
            await rig.until_kept(*NAMES)
            rig.log.recreate(TOPIC)
            await task


async def test_a_stuck_reader_is_replaced(timed: Rig) -> None:
    mute = turned_into(timed, MuteLog)
    assert isinstance(mute, MuteLog)
    mute.mute_readers = 2
    await timed.send(*NAMES)
    async with timed.running(timed.loop()):
        await timed.until(lambda: _kept_while_time_passes(timed))
    assert mute.readers == 3


async def _kept_while_time_passes(rig: Rig) -> bool:
    rig.clock.advance(timedelta(seconds=6))  # type: ignore[attr-defined]
    return set(NAMES) <= set(await rig.kept())


async def test_readers_that_are_all_stuck_end_the_process(timed: Rig) -> None:
    mute = turned_into(timed, MuteLog)
    assert isinstance(mute, MuteLog)
    mute.mute_readers = 99
    await timed.send(*NAMES)
    loop = timed.loop()
    with pytest.raises(ReaderBroken, match=r"8 records wait in .*/0, none comes; 4 readers"):
        async with timed.running(loop) as task:
            await timed.until(lambda: _done_while_time_passes(timed, task))
    assert mute.readers == 4


async def _done_while_time_passes(rig: Rig, task: asyncio.Task[None]) -> bool:
    rig.clock.advance(timedelta(seconds=6))  # type: ignore[attr-defined]
    return task.done()


async def test_a_partition_that_waits_for_the_others_backlog_is_not_stuck(timed: Rig) -> None:
    """A client hands out what it has fetched before it looks elsewhere; on a slow machine that is a
    minute of commits, none of which is the reader's to answer for."""

    async def take_a_while(tx: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
        timed.clock.advance(timedelta(seconds=0.9))  # type: ignore[attr-defined]
        return await behave(tx, records)

    timed.handler.misbehave = take_a_while
    backlog = [f"first{n:03}" for n in range(60)]
    await timed.send(*backlog)
    await timed.send("last", partition=2)
    stalls = metrics.CONSUMER_STALLS.labels(timed.group)
    async with timed.running(timed.loop(first_records=1, max_records=1)):
        await timed.until_kept(*backlog, "last")
    assert timed.handler.batches[-1] == ["last"], "it did wait for all of the others"
    assert stalls._value.get() == 0


async def test_an_idle_partition_is_not_a_stuck_one(timed: Rig) -> None:
    mute = turned_into(timed, MuteLog)
    assert isinstance(mute, MuteLog)
    mute.mute_readers = 99
    async with timed.running(timed.loop()) as task:
        for _ in range(30):
            assert not await _done_while_time_passes(timed, task)
            await asyncio.sleep(0.01)
    assert mute.readers == 1


async def test_a_reader_that_never_answers_is_replaced(rig: Rig) -> None:
    mute = turned_into(rig, MuteLog)
    assert isinstance(mute, MuteLog)
    mute.mute_readers, mute.silent = 2, True
    await rig.send(*NAMES)
    async with rig.running(rig.loop(stall_seconds=0.1)):
        await rig.until_kept(*NAMES)
    assert mute.readers == 3


async def test_a_stop_comes_between_batches(rig: Rig) -> None:
    """What is at work is finished; nothing new begins."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(tx: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
        begun.set()
        await go_on.wait()
        return await behave(tx, records)

    rig.handler.misbehave = wait
    await rig.send(*NAMES)
    stop = asyncio.Event()
    running = asyncio.create_task(rig.loop(first_records=4).run(stop))
    await begun.wait()
    stop.set()
    go_on.set()
    async with asyncio.timeout(10):
        await running
    assert await rig.kept() == NAMES[:4]
    assert await rig.position() == 4


async def test_an_idle_partition_is_marked(timed: Rig) -> None:
    await timed.send(*NAMES)
    async with timed.running(timed.loop()):
        await timed.until_kept(*NAMES)
        await timed.until(lambda: _idle_while_time_passes(timed))


async def _idle_while_time_passes(rig: Rig) -> bool:
    rig.clock.advance(timedelta(seconds=2))  # type: ignore[attr-defined]
    query = text("SELECT bool_and(idle_at IS NOT NULL) FROM funnel.positions WHERE reader_group=:g")
    async with rig.database.across_tenants() as tx:
        return bool((await tx.execute(query, {"g": rig.group})).scalar())


async def test_readiness_follows_the_turns_of_the_loop(timed: Rig) -> None:
    loop = timed.loop()
    assert await loop.check() is None
    timed.clock.advance(timedelta(seconds=61))  # type: ignore[attr-defined]
    assert await loop.check() == "no turn for 61 s"
