"""Trouble of the infrastructure: retried in place, never a dead letter, never a lost place."""

from collections.abc import Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import SystemClock
from libs.common.db.errors import DatabaseUnavailable
from libs.common.eventlog.loop import Buried
from libs.common.eventlog.port import LogUnavailable, Record
from tests.integration.common.eventlog.proxy import proxied
from tests.integration.common.eventlog.rig import Misbehave, Rig, rigged

pytestmark = pytest.mark.postgres
NAMES = [f"d{n:03}" for n in range(8)]
TERMINATE = """DO $$ BEGIN
    SET ROLE NONE;  -- the worker's role may end nobody's session, not even its own
    PERFORM pg_terminate_backend(pg_backend_pid());
END $$"""


def failing(times: int, statement: str | None = None) -> Misbehave:
    """The first `times` batches fail: by a statement, else for want of a database."""
    left = [times]

    async def fail(tx: AsyncConnection, _: Sequence[Record]) -> Sequence[Buried]:
        if left[0]:
            left[0] -= 1
            if statement is None:
                raise DatabaseUnavailable("gone")
            await tx.execute(text(statement))
        return ()

    return fail


def raising(state: str) -> str:
    return f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"


@pytest.mark.parametrize(
    "statement",
    [
        None,
        TERMINATE,
        raising("40001"),  # serialisation
        raising("40P01"),  # deadlock
        raising("55P03"),  # a lock that was not given in time
        raising("57014"),  # a statement that took too long
        raising("53100"),  # disk full
    ],
)
async def test_a_batch_is_repeated_in_place(rig: Rig, statement: str | None) -> None:
    rig.handler.misbehave = failing(2, statement)
    await rig.send(*NAMES)
    async with rig.running(rig.loop()):
        await rig.until_kept(*NAMES)
    assert rig.handler.batches == [NAMES] * 3
    assert await rig.dead() == []
    assert await rig.position() == len(NAMES)


async def test_a_batch_that_keeps_failing_comes_in_smaller_pieces(rig: Rig) -> None:
    """Too long for a timeout as a whole: no batch is repeated more than three times."""

    async def fail_when_long(_: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]:
        if len(records) > 2:
            raise TimeoutError("too slow")
        return ()

    rig.handler.misbehave = fail_when_long
    await rig.send(*NAMES)
    async with rig.running(rig.loop()):
        await rig.until_kept(*NAMES)
    sizes = [len(batch) for batch in rig.handler.batches]
    assert sizes == [8, 8, 8, 4, 4, 4, 2, 2, 4, 4, 4, 2, 2]
    assert await rig.dead() == []


async def test_a_single_record_waits_for_as_long_as_it_takes(rig: Rig) -> None:
    rig.handler.misbehave = failing(10)
    await rig.send("only")
    async with rig.running(rig.loop()):
        await rig.until_kept("only")
    assert len(rig.handler.batches) == 11
    assert await rig.dead() == []


async def test_a_commit_whose_answer_is_lost_counts_once(database_url: str) -> None:
    """Over many cuts: a second effect would break the key of the handler's table."""
    async with proxied(database_url) as (proxy, url), rigged(url, SystemClock()) as rig:
        async with rig.running(rig.loop()):
            for round_ in range(20):
                names = [f"r{round_:02}-{n}" for n in range(3)]
                proxy.cut_commits(1 + round_ % 2)
                await rig.send(*names)
                async with rigged(database_url, SystemClock()) as direct:
                    direct.tenant = rig.tenant
                    await direct.until_kept(*names)
            proxy.cut_commits(0)
        assert await rig.position() == 60
        assert len(await rig.kept()) == 60
        assert await rig.dead() == []
        assert proxy.cut >= 20


async def test_the_log_may_be_away(rig: Rig) -> None:
    rig.log.fail_reads = [LogUnavailable("away")] * 3
    await rig.send(*NAMES)
    async with rig.running(rig.loop()):
        await rig.until_kept(*NAMES)
    assert rig.log.fail_reads == []


async def test_the_handler_hears_of_commits_only(rig: Rig) -> None:
    rig.handler.misbehave = failing(2)
    await rig.send(*NAMES)
    async with rig.running(rig.loop()):
        await rig.until_kept(*NAMES)
    assert rig.handler.commits == 1


async def test_the_loop_stops_while_the_database_is_away(rig: Rig) -> None:
    rig.handler.misbehave = failing(10**9)
    await rig.send(*NAMES)
    async with rig.running(rig.loop()):
        await rig.until(lambda: _tried(rig, 5))
    assert await rig.kept() == []
    assert await rig.position() == 0


async def _tried(rig: Rig, times: int) -> bool:
    return len(rig.handler.batches) >= times
