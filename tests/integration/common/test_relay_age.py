"""How long the outbox waits is told alike by every relay, whoever of them holds the lease."""

from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
from prometheus_client import REGISTRY

from libs.common.clock import SystemClock
from libs.common.db import outbox
from libs.common.db.database import Database
from libs.common.db.outbox import OutboxRow
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import LogUnavailable, TopicConfig
from libs.common.eventlog.relay import OutboxRelay

pytestmark = pytest.mark.postgres
TOPIC, HOUR = "told", 3600
_AN_HOUR_AGO = "UPDATE funnel.outbox SET created_at = created_at - interval '1 hour'"


@pytest.fixture
async def log() -> MemoryLog:
    log = MemoryLog(SystemClock())
    await log.create_topics([TopicConfig(TOPIC, 1)])
    return log


@pytest.fixture
async def relays(database_url: str, log: MemoryLog) -> AsyncIterator[Sequence[OutboxRelay]]:
    """Two that ask for one lease, over a row of an hour ago; the first of them holds it."""
    database = Database(database_url, "headway_funnel_worker")
    first, second = (OutboxRelay("funnel", database, log, SystemClock(), o) for o in ("a", "b"))
    assert not await first.publish()
    async with database.for_tenant("t") as tx:
        await outbox.put(tx, "funnel", [OutboxRow("t", TOPIC, b"k", b"{}", ())])
    hand = await asyncpg.connect(database_url)
    await hand.execute(_AN_HOUR_AGO)
    yield first, second
    await hand.execute("TRUNCATE funnel.outbox, funnel.leases")
    await hand.close()
    await database.close()


def age() -> float:
    """As this process tells it: of two relays, the one that has looked last."""
    found = REGISTRY.get_sample_value("headway_outbox_oldest_age_seconds", {"schema": "funnel"})
    assert found is not None
    return found


async def test_a_relay_that_waits_for_the_lease_tells_the_age_too(
    log: MemoryLog, relays: Sequence[OutboxRelay]
) -> None:
    first, second = relays
    log.fail_appends.append(LogUnavailable("away"))
    with pytest.raises(LogUnavailable):
        await first.publish()
    assert HOUR <= age() < 2 * HOUR
    assert not await second.publish()
    assert HOUR <= age() < 2 * HOUR


async def test_only_the_holder_is_not_ready(log: MemoryLog, relays: Sequence[OutboxRelay]) -> None:
    first, second = relays
    log.fail_appends.append(LogUnavailable("away"))
    with pytest.raises(LogUnavailable):
        await first.publish()
    assert not await second.publish()
    assert (await first.check() or "").startswith("outbox rows wait")
    assert await second.check() is None


async def test_once_all_is_out_both_tell_0(relays: Sequence[OutboxRelay]) -> None:
    first, second = relays
    assert await first.publish()
    for relay in (second, first):
        assert not await relay.publish()
        assert age() == 0
