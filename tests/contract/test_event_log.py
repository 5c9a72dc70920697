"""Every adapter of the log, judged by the one contract suite."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from libs.common.clock import FakeClock, SystemClock
from libs.common.eventlog.kafka_log import KafkaLog
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import EventLog, LogUnavailable, Partition, TopicConfig
from libs.common.eventlog.postgres_log import PostgresLog
from libs.common.testing.eventlog_contract import PARTITIONS, EventLogContract, Member
from libs.common.testing.fixtures import own_broker

ROOT = Path(__file__).parents[2]
WRITER = Path(__file__).with_name("writer_process.py")


class TestMemoryLog(EventLogContract):
    @pytest.fixture
    async def log(self) -> EventLog:
        return MemoryLog(FakeClock(datetime(2026, 3, 2, tzinfo=UTC)))

    async def trim(self, log: EventLog, partition: Partition, start: int) -> None:
        assert isinstance(log, MemoryLog)
        log.trim(partition, start)

    async def recreate(self, log: EventLog, topic: str) -> None:
        assert isinstance(log, MemoryLog)
        log.recreate(topic)


class DurableContract(EventLogContract):
    """What only a log outside of the process can promise."""

    async def test_acknowledged_records_survive_the_death_of_their_writer(
        self, log: EventLog, topic: str, log_url: str, database_of_log: str
    ) -> None:
        writer = await asyncio.create_subprocess_exec(
            sys.executable, str(WRITER), log_url, database_of_log, topic,
            stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert writer.stdout is not None
        acknowledged: list[list[int]] = []
        async with asyncio.timeout(60):
            while len(acknowledged) < 25:
                acknowledged += json.loads(await writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        await writer.wait()
        member = await Member(log.reader([topic], topic, "m")).join()
        places = {tuple(place) for place in acknowledged}
        await member.until(lambda m: places <= {(r.partition, r.offset) for r in m.read})
        await member.reader.stop()


@pytest.mark.postgres
class TestPostgresLog(DurableContract):
    @pytest.fixture
    def log_url(self) -> str:
        return "postgres+log://"

    @pytest.fixture
    def database_of_log(self, database_url: str) -> str:
        return database_url

    @pytest.fixture
    async def log(self, database_url: str) -> AsyncIterator[EventLog]:
        log = PostgresLog(database_url, SystemClock(), deadline=20)
        await log.start()
        yield log
        await log.stop()

    async def trim(self, log: EventLog, partition: Partition, start: int) -> None:
        await self._execute(
            log,
            'DELETE FROM log.records WHERE topic = $1 AND partition = $2 AND "offset" < $3',
            partition.topic, partition.number, start,
        )  # fmt: skip
        await self._execute(
            log,
            "UPDATE log.partitions SET start_offset = $3 WHERE topic = $1 AND partition = $2",
            partition.topic, partition.number, start,
        )  # fmt: skip

    async def recreate(self, log: EventLog, topic: str) -> None:
        for table in ("records", "partitions", "topics"):
            await self._execute(log, f"DELETE FROM log.{table} WHERE topic = $1", topic)  # noqa: S608
        await log.create_topics([TopicConfig(topic, PARTITIONS)])

    async def _execute(self, log: EventLog, statement: str, *values: object) -> None:
        assert isinstance(log, PostgresLog)
        async with log.pool.acquire() as conn:
            assert isinstance(conn, asyncpg.pool.PoolConnectionProxy)
            await conn.execute(statement, *values)


@pytest.mark.kafka
class TestKafkaLog(DurableContract):
    @pytest.fixture
    def log_url(self, kafka_server: str) -> str:
        return f"kafka://{kafka_server}"

    @pytest.fixture
    def database_of_log(self) -> str:
        return ""

    @pytest.fixture
    async def log(self, kafka_server: str) -> AsyncIterator[EventLog]:
        log = KafkaLog([kafka_server], "contract", deadline=20, session=6)
        await log.start()
        yield log
        await log.stop()

    async def test_a_static_member_that_comes_back_takes_its_partitions_over_at_once(
        self, kafka_server: str, topic: str
    ) -> None:
        """A static member leaves nothing behind when it ends: only its session would end it."""
        for life in ("first", "second"):
            log = KafkaLog([kafka_server], life, deadline=20, session=1800, instance="one")
            await log.start()
            member = await Member(log.reader([topic], topic, life)).join()
            await member.until(lambda held: len(held.held) == PARTITIONS)
            await member.reader.stop()
            assert await self._members(log, topic) == 1, "it is still expected back"
            await log.stop()

    async def test_a_reader_ends_quietly_while_the_broker_is_away(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The client cancels its fetches that wait to try again, and lets that escape."""
        monkeypatch.setattr("libs.common.eventlog.kafka_reader.CHECK", 0)
        with own_broker() as broker:
            log = KafkaLog([broker.server], "quiet", deadline=20, session=6)
            await log.start()
            await log.create_topics([TopicConfig("quiet", PARTITIONS)])
            tail = await Member(log.reader(["quiet"], None, "t")).join()
            await tail.until(lambda held: len(held.held) == PARTITIONS)
            await asyncio.to_thread(broker.kill)
            with pytest.raises(LogUnavailable):
                await tail.take(1)
            await tail.reader.stop()
            await log.stop()

    async def _members(self, log: EventLog, group: str) -> int:
        admin = await self._admin(log)
        (answer,) = await admin.describe_consumer_groups([group])
        await admin.close()
        return len(answer.groups[0][5])

    async def trim(self, log: EventLog, partition: Partition, start: int) -> None:
        admin = await self._admin(log)
        place = TopicPartition(partition.topic, partition.number)
        await admin.delete_records({place: RecordsToDelete(before_offset=start)})
        await admin.close()

    async def recreate(self, log: EventLog, topic: str) -> None:
        admin = await self._admin(log)
        await admin.delete_topics([topic])
        await admin.close()
        async with asyncio.timeout(30):
            while topic in await self._topics(log):
                await asyncio.sleep(0.05)
        await log.create_topics([TopicConfig(topic, PARTITIONS)])

    async def _topics(self, log: EventLog) -> list[str]:
        admin = await self._admin(log)
        names: list[str] = await admin.list_topics()
        await admin.close()
        return names

    async def _admin(self, log: EventLog) -> AIOKafkaAdminClient:
        assert isinstance(log, KafkaLog)
        admin = AIOKafkaAdminClient(bootstrap_servers=log.servers)
        await admin.start()
        return admin
