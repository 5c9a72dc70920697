"""Acceptance against a real dedup index: order of steps, what fails and what must not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from libs.common.clock import FakeClock
from libs.common.db.database import Database
from libs.common.eventlog.port import LogUnavailable, NewRecord
from services.ingest.adapters.acceptance import SqlIndex
from services.ingest.app.accept import Acceptor
from services.ingest.app.unappended import Unappended
from services.ingest.domain.examine import examine_structured
from services.ingest.domain.model import Decision, Receipt
from services.ingest.settings import IngestSettings
from tests.integration.ingest.fakes import START, ScriptedLog, stage_event

pytestmark = pytest.mark.postgres


class Bench:
    """An acceptor and what it leaves behind."""

    def __init__(self, url: str, tenant: str, settings: IngestSettings | None = None) -> None:
        self.database = Database(url, "headway_ingest_worker")
        self.tenant = tenant
        self.log = ScriptedLog()
        self.clock = FakeClock(START)
        self.unappended = Unappended()
        self.acceptor = Acceptor(
            self.log,
            SqlIndex(self.database),
            self.clock,
            self.unappended,
            settings or IngestSettings(lookup_deadline=10, index_deadline=10),
        )

    async def send(self, *events: object) -> Decision:
        receipt = Receipt(self.tenant, START)
        return await self.acceptor.accept(receipt, [examine_structured(e, receipt) for e in events])

    async def statuses(self, *events: object) -> list[str]:
        decision = await self.send(*events)
        return [verdict.code or verdict.status for verdict in decision.verdicts]

    async def count(self, table: str) -> int:
        async with self.database.across_tenants() as tx:
            statement = text(f"SELECT count(*) FROM ingest.{table} WHERE tenant_id = :t")  # noqa: S608
            return int(await tx.scalar(statement, {"t": self.tenant}) or 0)


@pytest.fixture
async def bench(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    bench = Bench(database_url, request.node.name[:60])
    yield bench
    await bench.acceptor.close(1)
    await bench.database.close()


async def test_a_repetition_is_a_duplicate_and_publishes_nothing(bench: Bench) -> None:
    assert await bench.statuses(stage_event("1"), stage_event("2")) == ["accepted", "accepted"]
    assert await bench.statuses(stage_event("1"), stage_event("3")) == ["duplicate", "accepted"]
    assert bench.log.ids == ["1", "2", "3"]
    assert await bench.count("acceptance") == 3


async def test_the_index_says_where_the_record_lies(bench: Bench) -> None:
    await bench.send(stage_event("1"), stage_event("2"))
    async with bench.database.across_tenants() as tx:
        rows = await tx.execute(
            text("""SELECT event_id, topic, partition, "offset", recorded_at, type
                FROM ingest.acceptance WHERE tenant_id = :t ORDER BY event_id"""),
            {"t": bench.tenant},
        )
        topic, kind = "headway.crm.events.v1", "deal.stage_changed"
        assert [tuple(row) for row in rows] == [
            ("1", topic, 0, 0, START, kind),
            ("2", topic, 0, 1, START, kind),
        ]


async def test_a_conflict_is_kept_whole_and_once(bench: Bench) -> None:
    await bench.send(stage_event("1", "a"))
    for _ in range(2):
        assert await bench.statuses(stage_event("1", "b")) == ["conflict"]
    assert bench.log.ids == ["1"]
    assert await bench.count("dead_letters") == 1
    await bench.send(stage_event("1", "c"))
    assert await bench.count("dead_letters") == 2


async def test_ids_of_other_tenants_do_not_collide(bench: Bench, database_url: str) -> None:
    other = Bench(database_url, bench.tenant + "_rival")
    await bench.send(stage_event("1", "a"))
    assert await other.statuses(stage_event("1", "b")) == ["accepted"]
    await other.database.close()


async def test_while_the_log_is_down_nothing_is_indexed_and_the_repeat_enters(bench: Bench) -> None:
    bench.log.down = True
    with pytest.raises(LogUnavailable):
        await bench.send(stage_event("1"))
    assert await bench.count("acceptance") == 0
    assert bench.unappended.oldest() is None
    bench.log.down = False
    assert await bench.statuses(stage_event("1")) == ["accepted"]


class HeldLog(ScriptedLog):
    """A log that acknowledges when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        self.reached.set()
        await self.gate.wait()
        return await super().append(topic, records)


def held(bench: Bench, **limits: float) -> HeldLog:
    """Replace the bench's log by one that is slow."""
    log = HeldLog()
    settings = replace(IngestSettings(lookup_deadline=10, index_deadline=10), **limits)  # type: ignore[arg-type]
    index = SqlIndex(bench.database)
    bench.acceptor = Acceptor(log, index, bench.clock, bench.unappended, settings)
    bench.log = log
    return log


async def test_an_append_that_is_not_acknowledged_in_time_is_unavailable(bench: Bench) -> None:
    log = held(bench, append_deadline=0.05)
    with pytest.raises(LogUnavailable):
        await bench.send(stage_event("1"))
    log.gate.set()
    assert await bench.statuses(stage_event("1")) == ["accepted"]
    assert await bench.count("acceptance") == 1


async def test_events_on_their_way_hold_the_watermark(bench: Bench) -> None:
    log = held(bench, append_deadline=10)
    sending = asyncio.create_task(bench.send(stage_event("1")))
    await asyncio.wait_for(log.reached.wait(), 10)
    assert bench.unappended.oldest() == START
    log.gate.set()
    await sending
    assert bench.unappended.oldest() is None


async def test_concurrent_requests_share_appends(bench: Bench) -> None:
    log = held(bench, append_deadline=10)
    sending = [asyncio.create_task(bench.send(stage_event(str(n)))) for n in range(50)]
    await asyncio.wait_for(log.reached.wait(), 10)
    log.gate.set()
    await asyncio.gather(*sending)
    assert sorted(log.ids) == sorted(str(n) for n in range(50))
    assert log.appends < 15
    assert await bench.count("acceptance") == 50


async def test_without_postgresql_events_pass_unindexed() -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    bench = Bench(url, "acme")
    assert await bench.statuses(stage_event("1")) == ["accepted"]
    assert await bench.statuses(stage_event("1")) == ["accepted"]
    assert bench.log.ids == ["1", "1"]
    await bench.database.close()


async def test_a_silent_index_is_left_alone_for_a_moment_and_then_used_again(
    bench: Bench, database_url: str
) -> None:
    async with bench.database.across_tenants() as tx:
        await tx.execute(text("LOCK TABLE ingest.acceptance IN ACCESS EXCLUSIVE MODE"))
        impatient = Bench(database_url, bench.tenant, IngestSettings(lookup_deadline=0.05))
        assert await impatient.statuses(stage_event("1")) == ["accepted"]
    assert await impatient.statuses(stage_event("1")) == ["accepted"]
    impatient.clock.advance(timedelta(seconds=2))
    await impatient.send(stage_event("2"))
    assert await impatient.count("acceptance") == 1
    await impatient.acceptor.close(1)
    await impatient.database.close()


async def test_two_requests_with_one_id_at_once_are_both_answered(bench: Bench) -> None:
    log = held(bench, append_deadline=10)
    sending = [asyncio.create_task(bench.statuses(stage_event("1"))) for _ in range(2)]
    await asyncio.wait_for(log.reached.wait(), 10)
    log.gate.set()
    assert list(await asyncio.gather(*sending)) == [["accepted"], ["accepted"]]
    assert await bench.count("acceptance") == 1
    assert await bench.statuses(stage_event("1")) == ["duplicate"]
