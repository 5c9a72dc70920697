"""Ingest over the embedded log: what a 202 promises is there for every reader."""

import asyncio
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.envelope import from_headers
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.murmur2 import partition_for
from libs.common.eventlog.port import EventLog, Partition, Record
from libs.common.eventlog.postgres_log import PostgresLog
from services.ingest.settings import IngestSettings
from tests.integration.ingest.conftest import Api, _client, operator_key, resources, running
from tests.integration.ingest.fakes import ndjson, stage_event

pytestmark = pytest.mark.postgres
SETTINGS = IngestSettings(
    lookup_deadline=10, index_deadline=10, append_deadline=10, import_poll=0.05
)


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[PostgresLog]:
    log = PostgresLog(database_url, SystemClock(), deadline=10)
    await log.start()
    yield log
    await log.stop()


async def read_all(log: EventLog) -> list[Record]:
    """Everything on the topic, by partition."""
    ends = await log.ends(CRM_EVENTS)
    reader = log.reader([CRM_EVENTS], "test", "m")

    async def assigned(partitions: Collection[Partition]) -> None:
        for partition in partitions:
            reader.seek(partition, ends[partition].start)

    async def revoked(partitions: Collection[Partition]) -> None: ...

    await reader.start(assigned, revoked)
    records: list[Record] = []
    wanted = sum(e.end - e.start for e in ends.values())
    async with asyncio.timeout(20):
        while len(records) < wanted:
            records += await reader.read(1_000, 0.2)
    await reader.stop()
    return records


async def test_accepted_events_and_imported_rows_reach_readers_in_the_order_of_their_deal(
    database_url: str, tmp_path: Path, log: PostgresLog
) -> None:
    built = resources(database_url, tmp_path, log)
    async with running(built, SETTINGS) as (service, transport):
        operator = _client(transport, await operator_key(database_url))
        api = Api(service, log, operator, _client(transport, None), "acme", transport)
        api.client = await api.new_tenant("acme")
        one_deal = {"deal_id": "D", "stage_id": "a"}
        batch = [stage_event(f"b{n}", data=one_deal) for n in range(50)]
        assert (await api.post(*batch)).json()["accepted"] == 50
        lines = ndjson(*(stage_event(f"i{n}", data=one_deal) for n in range(50)), batch[0])
        started = await api.client.post(
            "/v1/imports", content=lines, headers={"content-type": "application/x-ndjson"}
        )
        shown = await api.ended(started.json()["import_id"])
        assert (shown["accepted"], shown["duplicates"]) == (50, 1)
        where = (await api.client.get("/v1/events/i49", params={"source": "/crm"})).json()
    records = await read_all(log)
    envelopes = [from_headers(record.headers, record.value) for record in records]
    assert [e.id for e in envelopes] == [f"b{n}" for n in range(50)] + [f"i{n}" for n in range(50)]
    assert [e.origin for e in envelopes] == ["live"] * 50 + ["backfill"] * 50
    assert {r.partition for r in records} == {partition_for(b"acme:D", 12)}
    assert (where["partition"], where["offset"]) == (records[-1].partition, records[-1].offset)


async def test_what_was_accepted_before_a_restart_is_a_duplicate_after_it(
    database_url: str, tmp_path: Path, log: PostgresLog
) -> None:
    key = ""
    for expected in ("accepted", "duplicate"):
        async with running(resources(database_url, tmp_path, log), SETTINGS) as (_, transport):
            if not key:
                operator = _client(transport, await operator_key(database_url))
                made = await operator.post("/v1/tenants", json={"id": "again"})
                key = made.json()["api_key"]
            answer = await _client(transport, key).post("/v1/events", json=stage_event("r"))
            assert answer.json()["results"][0]["status"] == expected
