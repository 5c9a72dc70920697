"""Two consumers share the partitions. One is stopped for longer than the group waits, the other
takes over; when the first goes on, it is fenced, and what came of it all is as if by one alone."""

import asyncio
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import asyncpg
import pytest

from libs.common.contracts.topics import CRM_EVENTS
from tests.e2e.processes.outcome import differences
from tests.e2e.processes.scene import Scene
from tests.e2e.processes.sender import Sender
from tests.e2e.processes.stack import Process, Stack, until

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.fault]
Stop = Callable[[Stack, Process, Iterator[None]], None]
FENCED = "headway_consumer_fenced_total"
_OWNERS = "SELECT partition, owner FROM funnel.positions WHERE topic = $1"
_WAITS = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
    AND query ILIKE '%UPDATE funnel.positions%'"""


def owners(stack: Stack) -> dict[int, int]:
    """The process that holds each partition, by pid."""

    async def read() -> dict[int, int]:
        connection = await asyncpg.connect(stack.database_url)
        try:
            found = await connection.fetch(_OWNERS, CRM_EVENTS)
        finally:
            await connection.close()
        return {row[0]: int(re.split("-", row[1])[-2]) for row in found}

    return asyncio.run(read())


def await_owners(stack: Stack, *processes: Process) -> None:
    """Until all twelve partitions are held, by just these processes."""
    wanted = {process.pid for process in processes}

    def held() -> bool:
        found = owners(stack)
        return len(found) == 12 and set(found.values()) == wanted

    until(f"the partitions are held by {wanted}", held, 90)


@contextmanager
def held_rows(stack: Stack, pid: int) -> Iterator[asyncio.Runner]:
    """The positions of one process, locked by somebody else."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(stack.database_url))
        lock = "SELECT FROM funnel.positions WHERE owner LIKE $1 FOR UPDATE"
        runner.run(connection.execute("BEGIN"))
        runner.run(connection.execute(lock, f"%-{pid}-%"))
        yield runner
        runner.run(connection.execute("ROLLBACK"))
        runner.run(connection.close())


def stop_inside_its_transaction(stack: Stack, zombie: Process, sending: Iterator[None]) -> None:
    """Its commit has to wait for a lock; it is stopped there, and then gets the lock.

    So a stopped process holds what the other one needs, until PostgreSQL gives the idle up.
    """
    with held_rows(stack, zombie.pid):
        next(sending)

        def waits() -> bool:
            async def count() -> int:
                connection = await asyncpg.connect(stack.database_url)
                try:
                    return int(await connection.fetchval(_WAITS))
                finally:
                    await connection.close()

            return asyncio.run(count()) > 0

        until("its transaction waits for the lock", waits)
        zombie.signal(signal.SIGSTOP)


def stop_anywhere(stack: Stack, zombie: Process, sending: Iterator[None]) -> None:
    zombie.signal(signal.SIGSTOP)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stop", [stop_inside_its_transaction, stop_anywhere])
def test_a_zombie_is_fenced_and_the_other_takes_over(
    scene: Scene, stop: Stop, record_property: Callable[[str, object], None]
) -> None:
    scene.empty_log()
    with scene.clone() as stack:
        since, sender = scene.since(), Sender()
        ingest = stack.start("ingest", "api").ready()
        zombie, other = (stack.start("funnel", "worker").ready() for _ in range(2))
        await_owners(stack, zombie, other)
        sending = scene.sending(ingest, sender)
        list(islice(sending, 6))
        stop(stack, zombie, sending)
        list(islice(sending, 6))
        await_owners(stack, other)
        scene.await_settled(stack)
        zombie.signal(signal.SIGCONT)
        await_owners(stack, zombie, other)
        for _ in sending:
            pass
        scene.await_settled(stack)
        fenced = zombie.metric(FENCED)
        zombie.stop()
        other.stop()
        ingest.stop()
        made = scene.made(stack, since)
    wanted = scene.uninterrupted()
    assert differences(made.rows, wanted.rows) == []
    assert (made.numbers, made.stays) == (wanted.numbers, wanted.stays)
    assert fenced >= 1 or stop is stop_anywhere
    record_property("fenced", fenced)
