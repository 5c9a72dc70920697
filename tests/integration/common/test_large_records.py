"""Large records go in small batches: nobody holds many, and no append takes longer than it may."""

from collections.abc import AsyncIterator

import pytest

from libs.common.clock import SystemClock
from libs.common.db import outbox
from libs.common.db.database import Database
from libs.common.db.outbox import OutboxRow
from libs.common.eventlog.port import NewRecord, TopicConfig
from libs.common.eventlog.postgres_log import PostgresLog
from libs.common.testing.eventlog_contract import Member

pytestmark = pytest.mark.postgres
LARGE = bytes(900_000)
COUNT, TOPIC = 20, "large"


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[PostgresLog]:
    opened = PostgresLog(database_url, SystemClock(), deadline=60)
    await opened.start()
    yield opened
    await opened.stop()


async def test_a_read_brings_few_of_them(log: PostgresLog) -> None:
    await log.create_topics([TopicConfig(TOPIC, 3)])
    for n in range(COUNT):
        value = None if n % 5 == 4 else LARGE
        await log.append(TOPIC, [NewRecord(b"k%d" % n, value, (("n", b"%d" % n),))])
    member = await Member(log.reader([TOPIC], None, "m")).join()
    sizes = []
    while len(member.read) < COUNT:
        found = await member.reader.read(100, 0.2)
        member.read += found
        sizes.append(sum(len(record.value or b"") for record in found))
    await member.reader.stop()
    assert max(sizes) <= 4 * 1024 * 1024 + len(LARGE)
    for partition in range(3):
        offsets = [record.offset for record in member.read if record.partition == partition]
        assert offsets == list(range(len(offsets)))


async def test_a_claim_of_the_outbox_brings_few_of_them(database_url: str) -> None:
    database = Database(database_url, "headway_funnel_worker")
    values = [None if n % 5 == 4 else LARGE for n in range(COUNT)]
    rows = [OutboxRow("t", TOPIC, b"%d" % n, value, ()) for n, value in enumerate(values)]
    published: list[bytes | None] = []
    try:
        async with database.for_tenant("t") as tx:
            await outbox.put(tx, "funnel", rows)
        while len(published) < COUNT:
            async with database.across_tenants() as tx:
                claimed = await outbox.claim(tx, "funnel", 1_000)
                assert sum(len(row.record.value or b"") for row in claimed) < 6_000_000
                published += [row.record.key for row in claimed]
                await outbox.mark_published(tx, "funnel", claimed)
    finally:
        await database.close()
    assert published == [row.key for row in rows]
