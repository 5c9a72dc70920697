"""Rejected rows are kept for thirty days after their import has ended; the import stays."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from libs.common.db.database import Database
from libs.common.runtime import run_workers
from services.ingest.adapters.import_errors import forget
from tests.integration.ingest.limiting import LimitedApi, limited

pytestmark = pytest.mark.postgres
DAY = 86_400.0
BAD = b"{no JSON}\n"


@pytest.fixture
async def api(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[LimitedApi]:
    async with limited(database_url, tmp_path, "t" + str(abs(hash(request.node.name)))) as api:
        yield api


@pytest.fixture
async def worker(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, "headway_ingest_worker")
    yield database
    await database.close()


async def imported(api: LimitedApi, rows: int) -> str:
    headers = {"content-type": "application/x-ndjson"}
    answer = await api.client.post("/v1/imports", content=BAD * rows, headers=headers)
    import_id = str(answer.json()["import_id"])
    assert (await api.ended(import_id))["rejected"] == rows
    return import_id


async def kept(worker: Database, import_id: str) -> int:
    statement = text("SELECT count(*) FROM ingest.import_errors WHERE import_id = :id")
    async with worker.across_tenants() as tx:
        return int(await tx.scalar(statement, {"id": import_id}) or 0)


async def forgotten(api: LimitedApi, worker: Database, *import_ids: str) -> None:
    """Once the process has thrown away what these imports had."""
    chores = [one for one in api.service.workers if one.name == "ingest-import-errors"]
    stop = asyncio.Event()
    working = asyncio.create_task(run_workers(chores, stop))
    try:
        async with asyncio.timeout(30):
            while any([await kept(worker, one) for one in import_ids]):
                await asyncio.sleep(0.01)
    finally:
        stop.set()
        await working


async def test_rows_of_an_import_that_ended_long_ago_are_thrown_away(
    api: LimitedApi, worker: Database
) -> None:
    old = await imported(api, 3)
    api.minute(20 * DAY)
    young = await imported(api, 2)
    api.minute(10 * DAY + 1)
    await forgotten(api, worker, old)
    assert await kept(worker, young) == 2
    assert (await api.client.get(f"/v1/imports/{old}")).json()["rejected"] == 3


async def test_what_is_no_longer_kept_is_not_told_as_nothing(
    api: LimitedApi, worker: Database
) -> None:
    bad, good = await imported(api, 3), await imported(api, 0)
    api.minute(30 * DAY - 1)
    assert len((await api.client.get(f"/v1/imports/{bad}/errors")).text.splitlines()) == 3
    api.minute(2)
    answer = await api.client.get(f"/v1/imports/{bad}/errors")
    assert (answer.status_code, answer.json()["code"]) == (404, "errors_expired")
    assert (await api.client.get(f"/v1/imports/{good}/errors")).status_code == 200
    assert await kept(worker, bad) == 3, "whether they are thrown away yet or not"


async def test_many_are_thrown_away_a_part_at_a_time(api: LimitedApi, worker: Database) -> None:
    while await forget(worker, api.clock.now()):
        pass
    old = await imported(api, 5)
    ended = api.clock.now()
    assert not await forget(worker, ended - timedelta(seconds=1), most=2)
    assert await kept(worker, old) == 5
    more = [await forget(worker, ended + timedelta(seconds=1), most=2) for _ in range(3)]
    assert (more, await kept(worker, old)) == ([True, True, False], 0)
