"""The database of the embedded log dies: whatever the driver says of it, the log is away."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from libs.common.clock import SystemClock
from libs.common.db.errors import is_lost
from libs.common.eventlog.loop_errors import blames_a_record, waits
from libs.common.eventlog.port import LogUnavailable, NewRecord, TopicConfig
from libs.common.eventlog.postgres_log import PostgresLog

pytestmark = pytest.mark.postgres
TOPIC = "lost"
_GOODBYE = b"SFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0"


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[PostgresLog]:
    opened = PostgresLog(database_url, SystemClock(), deadline=20)
    await opened.start()
    await opened.create_topics([TopicConfig(TOPIC, 1)])
    yield opened
    await opened.stop()


async def hears_goodbye(log: PostgresLog) -> None:
    """The driver has read a dying server's last word, and not yet that the socket is closed."""
    async with log.pool.acquire() as connection:
        held: Any = connection
        protocol = held._con._protocol
    protocol.data_received(b"E" + (len(_GOODBYE) + 4).to_bytes(4) + _GOODBYE)


@pytest.mark.parametrize(
    "use", [lambda log: log.ends(TOPIC), lambda log: log.append(TOPIC, [NewRecord(b"k", b"v")])]
)
async def test_a_goodbye_before_a_statement_is_unavailability_and_the_next_use_works(
    log: PostgresLog, use: Callable[[PostgresLog], Awaitable[Any]]
) -> None:
    await use(log)
    await hears_goodbye(log)
    with pytest.raises(LogUnavailable):
        await use(log)
    assert await use(log)


def test_a_broken_protocol_is_a_lost_connection_and_no_record_s_fault() -> None:
    broken = asyncpg.InternalClientError("cannot switch to state 12")
    assert (is_lost(broken), waits(broken), blames_a_record(broken)) == (True, True, False)
