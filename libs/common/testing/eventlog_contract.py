"""The one suite that every EventLog adapter passes; `tests/contract` runs it on each of them.

A subclass gives a fixture `log` (started) and, where the adapter can be damaged, overrides the
hooks `trim` and `recreate`.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection

import pytest

from libs.common.eventlog.murmur2 import partition_for
from libs.common.eventlog.port import (
    EventLog,
    NewRecord,
    OffsetOutOfRange,
    Partition,
    Reader,
    Record,
    RecordTooLarge,
    TopicConfig,
    UnknownTopic,
)

PARTITIONS = 3
PATIENCE = 40.0


def record(key: str | None, value: str, partition: int | None = None) -> NewRecord:
    headers = (("ce_id", value.encode()), ("blob", bytes(range(256))), ("ce_id", b"again"))
    return NewRecord(None if key is None else key.encode(), value.encode(), headers, partition)


class Member:
    """A reader with a plain memory of where it stands; `start_at` decides where it begins."""

    def __init__(self, reader: Reader, start_at: Callable[[Partition], int] = lambda _: 0) -> None:
        self.reader, self._start_at = reader, start_at
        self.held: set[Partition] = set()
        self.read: list[Record] = []

    async def join(self) -> "Member":
        await self.reader.start(self._assigned, self._revoked)
        return self

    async def _assigned(self, partitions: Collection[Partition]) -> None:
        self.held |= set(partitions)
        for partition in partitions:
            self.reader.seek(partition, self._start_at(partition))

    async def _revoked(self, partitions: Collection[Partition]) -> None:
        self.held -= set(partitions)

    async def until(self, done: Callable[["Member"], bool]) -> list[Record]:
        """Read until `done`, which a deadline turns into a failure."""
        async with asyncio.timeout(PATIENCE):
            while not done(self):
                self.read += await self.reader.read(100, 0.2)
        return self.read

    async def take(self, count: int) -> list[Record]:
        return await self.until(lambda member: len(member.read) >= count)


class EventLogContract:
    """Guarantees 1 to 4 of `libs.common.eventlog.port`."""

    async def trim(self, log: EventLog, partition: Partition, start: int) -> None:
        raise NotImplementedError

    async def recreate(self, log: EventLog, topic: str) -> None:
        raise NotImplementedError

    @pytest.fixture
    async def topic(self, log: EventLog) -> str:
        name = f"contract.{secrets.token_hex(6)}"
        await log.create_topics([TopicConfig(name, PARTITIONS, retention_days=1)])
        return name

    async def test_what_is_acknowledged_is_read_as_it_was(self, log: EventLog, topic: str) -> None:
        sent = [record("k", "one"), NewRecord(b"k", None), NewRecord(None, b"\x00\xff")]
        offsets = await log.append(topic, sent)
        member = await Member(log.reader([topic], topic, "m")).join()
        found = {(r.partition, r.offset): r for r in await member.take(3)}
        await member.reader.stop()
        for new, place in zip(sent, offsets, strict=True):
            held = found[place]
            assert (held.key, held.value, held.headers) == (new.key, new.value, new.headers)

    async def test_keys_choose_partitions_by_murmur2(self, log: EventLog, topic: str) -> None:
        keys = [f"tenant:deal-{n}" for n in range(50)]
        offsets = await log.append(topic, [record(key, key) for key in keys])
        expected = [partition_for(key.encode(), PARTITIONS) for key in keys]
        assert [partition for partition, _ in offsets] == expected
        assert (await log.append(topic, [record("a", "x", partition=2)]))[0][0] == 2

    async def test_offsets_only_grow_and_keep_the_order_of_a_key(
        self, log: EventLog, topic: str
    ) -> None:
        for n in range(0, 60, 20):
            await log.append(topic, [record(f"k{i % 4}", f"{i}") for i in range(n, n + 20)])
        member = await Member(log.reader([topic], topic, "m")).join()
        read = await member.take(60)
        await member.reader.stop()
        for partition in range(PARTITIONS):
            offsets = [r.offset for r in read if r.partition == partition]
            assert offsets == sorted(set(offsets))
        for key in (b"k0", b"k1", b"k2", b"k3"):
            values = [int(r.value or b"") for r in read if r.key == key]
            assert values == sorted(values)
            assert len(values) == 15

    async def test_concurrent_appends_leave_neither_gap_nor_double(
        self, log: EventLog, topic: str
    ) -> None:
        appends = [log.append(topic, [record(f"k{n}", f"{n}.{i}") for i in range(5)])
                   for n in range(40)]  # fmt: skip
        places = [place for written in await asyncio.gather(*appends) for place in written]
        assert len(set(places)) == 200
        ends = await log.ends(topic)
        assert sum(end.end - end.start for end in ends.values()) == 200

    async def test_a_large_append_arrives_whole(self, log: EventLog, topic: str) -> None:
        offsets = await log.append(topic, [record(f"k{n % 7}", "x" * 2_000) for n in range(1_500)])
        assert len(set(offsets)) == 1_500

    async def test_reading_begins_where_the_reader_says(self, log: EventLog, topic: str) -> None:
        await log.append(topic, [record(None, f"{n}", partition=1) for n in range(10)])
        starts = {Partition(topic, 1): 7}
        member = await Member(log.reader([topic], topic, "m"), lambda p: starts.get(p, 0)).join()
        assert [r.offset for r in await member.take(3)] == [7, 8, 9]
        await member.reader.stop()

    async def test_tails_read_every_partition_beside_groups_and_each_other(
        self, log: EventLog, topic: str
    ) -> None:
        """One that begins in the middle, one at the start; a member of a group takes none away."""
        await log.append(topic, [record(None, f"{n}", n % PARTITIONS) for n in range(4 * 3)])
        member = await Member(log.reader([topic], topic, "m")).join()
        tails = [
            await Member(log.reader([topic], None, f"t{start}"), lambda _, at=start: at).join()  # type: ignore[misc]
            for start in (0, 2)
        ]
        for reader, count in ((member, 12), (tails[0], 12), (tails[1], 6)):
            assert len(await reader.take(count)) == count
            assert len(reader.held) == PARTITIONS
        await log.append(topic, [record(None, "later", 1)])
        for tail in tails:
            assert (await tail.take(len(tail.read) + 1))[-1].value == b"later"
            await tail.reader.report({Partition(topic, 1): 5})
        assert {r.offset for r in tails[1].read} == {2, 3, 4}
        for reader in (member, *tails):
            await reader.reader.stop()

    async def test_a_tail_is_told_that_its_position_is_gone(
        self, log: EventLog, topic: str
    ) -> None:
        await log.append(topic, [record(None, f"{n}", partition=0) for n in range(5)])
        await self.trim(log, Partition(topic, 0), 3)
        tail = await Member(log.reader([topic], None, "t")).join()
        with pytest.raises(OffsetOutOfRange):
            await tail.take(1)
        await tail.reader.stop()

    async def test_a_reader_is_woken_by_what_comes_later(self, log: EventLog, topic: str) -> None:
        member = await Member(log.reader([topic], topic, "m")).join()
        await member.until(lambda m: len(m.held) == PARTITIONS)
        reading = asyncio.create_task(member.take(1))
        await log.append(topic, [record("k", "late")])
        assert (await reading)[0].value == b"late"
        await member.reader.stop()

    async def test_positions_beyond_the_log_are_refused(self, log: EventLog, topic: str) -> None:
        member = await Member(log.reader([topic], topic, "m"), lambda _: 99).join()
        with pytest.raises(OffsetOutOfRange):
            await member.take(1)
        await member.reader.stop()

    async def test_positions_that_retention_took_are_refused(
        self, log: EventLog, topic: str
    ) -> None:
        await log.append(topic, [record(None, f"{n}", partition=0) for n in range(10)])
        await self.trim(log, Partition(topic, 0), 5)
        assert (await log.ends(topic))[Partition(topic, 0)].start == 5
        member = await Member(log.reader([topic], topic, "m"), lambda _: 0).join()
        with pytest.raises(OffsetOutOfRange):
            await member.take(5)
        await member.reader.stop()

    async def test_a_topic_that_was_made_anew_has_another_id(
        self, log: EventLog, topic: str
    ) -> None:
        before = await log.topic_id(topic)
        assert await log.topic_id(topic) == before
        await self.recreate(log, topic)
        assert await log.topic_id(topic) != before

    async def test_topics_are_made_once_and_never_by_use(self, log: EventLog, topic: str) -> None:
        await log.append(topic, [record("k", "kept")])
        await log.create_topics([TopicConfig(topic, PARTITIONS + 4)])
        ends = await log.ends(topic)
        assert len(ends) == PARTITIONS
        assert sum(end.end for end in ends.values()) == 1
        with pytest.raises(UnknownTopic):
            await log.append("contract.nowhere", [record("k", "v")])
        with pytest.raises(UnknownTopic):
            await log.topic_id("contract.nowhere")

    async def test_a_record_that_is_too_large_is_refused_for_good(
        self, log: EventLog, topic: str
    ) -> None:
        with pytest.raises(RecordTooLarge):
            await log.append(topic, [NewRecord(b"k", b"x" * (1024 * 1024 + 1))])
        assert await log.append(topic, [NewRecord(b"k", b"x" * 1024 * 1000)])

    async def test_members_of_a_group_share_and_take_over(self, log: EventLog, topic: str) -> None:
        first = await Member(log.reader([topic], topic, "first")).join()
        await first.until(lambda m: len(m.held) == PARTITIONS)
        second = await Member(log.reader([topic], topic, "second")).join()
        await second.reader.read(10, 0.2)
        await first.reader.stop()
        await second.until(lambda m: len(m.held) == PARTITIONS)
        await log.append(topic, [record(f"k{n}", f"{n}") for n in range(9)])
        assert len({(r.partition, r.offset) for r in await second.take(9)}) == 9
        await second.reader.stop()

    async def test_groups_do_not_disturb_each_other(self, log: EventLog, topic: str) -> None:
        await log.append(topic, [record("k", "v")])
        for group in (f"{topic}.a", f"{topic}.b"):
            member = await Member(log.reader([topic], group, "m")).join()
            assert len(await member.take(1)) == 1
            await member.reader.report(dict.fromkeys(member.held, 1))
            await member.reader.stop()


__all__ = ["PARTITIONS", "EventLogContract", "Member", "record"]
