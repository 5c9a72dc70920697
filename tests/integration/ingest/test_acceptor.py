"""Acceptance against a real dedup index: order of steps, what fails and what must not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from libs.common.clock import FakeClock
from libs.common.db.database import Database
from libs.common.eventlog.port import NewRecord, RecordTooLarge
from services.ingest.adapters.acceptance import SqlIndex
from services.ingest.adapters.keeping import SqlKeeper
from services.ingest.adapters.spool.files import SpoolLimits
from services.ingest.adapters.spool.stores import SpoolFolders
from services.ingest.app.accept import Acceptor
from services.ingest.app.draining import Drainer
from services.ingest.app.keeping import LaterKeeper
from services.ingest.app.ports import SpoolFull
from services.ingest.app.quotas import EventQuotas
from services.ingest.app.spool import Spool
from services.ingest.app.spools import Spools
from services.ingest.app.unappended import Unappended
from services.ingest.domain.examine import examine_structured
from services.ingest.domain.model import Candidate, Decision, Receipt
from services.ingest.settings import IngestSettings, QuotaSettings
from tests.integration.ingest.fakes import START, ScriptedLog, stage_event

pytestmark = pytest.mark.postgres
ROLE = "headway_ingest_worker"


SETTINGS = IngestSettings(
    lookup_deadline=10, index_deadline=10, spool_sample=0, drain_longest_pause=0.1
)


class Bench:
    """An acceptor over a log of its own, and what it leaves behind."""

    spools: Spools | None = None

    def __init__(self, url: str, tenant: str, folder: Path) -> None:
        self.database, self.tenant, self.folder = Database(url, ROLE), tenant, folder
        self.clock, self.unappended = FakeClock(START), Unappended()
        self.log: ScriptedLog = ScriptedLog()

    async def open(self, log: ScriptedLog | None = None, **settings: Any) -> "Bench":
        """Wire an acceptor over this log, in place of an earlier one."""
        await self.close()
        used, chosen = log or self.log, replace(SETTINGS, **settings)
        index, clock = SqlIndex(self.database), self.clock
        folders = SpoolFolders(self.folder, SpoolLimits(chosen.spool_max_bytes, 10_000))
        self.log, self.spools = (
            used,
            Spools(
                folders, lambda spool: Drainer(spool, used, index, clock, chosen), clock, chosen
            ),
        )
        quotas = EventQuotas(QuotaSettings(), clock)
        aside = SpoolFolders(self.aside, SpoolLimits(1_000_000, 10_000))
        self.keeper = LaterKeeper(SqlKeeper(self.database), aside, chosen)
        self.acceptor = Acceptor(
            used, index, clock, self.unappended, self.spools, chosen, quotas, self.keeper
        )
        await self.spools.open()
        await self.keeper.open()
        return self

    @property
    def aside(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}-aside")

    @property
    def spool(self) -> Spool:
        assert self.spools is not None
        return self.spools.own

    async def close(self) -> None:
        if self.spools is not None:
            await self.acceptor.close(1)
            await self.spools.close(1)
            await self.keeper.close(1)
            self.spools = None

    async def drained(self) -> None:
        async with asyncio.timeout(30):
            while len(self.spool):
                await asyncio.sleep(0.01)

    async def send(self, *events: object) -> Decision:
        receipt = Receipt(self.tenant, START)
        return await self.acceptor.accept(receipt, [examine_structured(e, receipt) for e in events])

    async def statuses(self, *events: object) -> list[str]:
        decision = await self.send(*events)
        return [verdict.code or verdict.status for verdict in decision.verdicts]

    async def places(self) -> dict[str, int | None]:
        """Where the index says that each event lies."""
        async with self.database.across_tenants() as tx:
            statement = text('SELECT event_id, "offset" FROM ingest.acceptance WHERE tenant_id=:t')
            return {row[0]: row[1] for row in await tx.execute(statement, {"t": self.tenant})}

    async def count(self, table: str) -> int:
        async with self.database.across_tenants() as tx:
            statement = text(f"SELECT count(*) FROM ingest.{table} WHERE tenant_id = :t")  # noqa: S608
            return int(await tx.scalar(statement, {"t": self.tenant}) or 0)


@pytest.fixture
async def bench(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Bench]:
    bench = Bench(database_url, request.node.name[:60], tmp_path)
    yield await bench.open()
    await bench.close()
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


async def test_ids_of_other_tenants_do_not_collide(
    bench: Bench, database_url: str, tmp_path: Path
) -> None:
    other = await Bench(database_url, bench.tenant + "_rival", tmp_path / "rival").open()
    await bench.send(stage_event("1", "a"))
    assert await other.statuses(stage_event("1", "b")) == ["accepted"]
    await other.close()
    await other.database.close()


async def test_while_the_log_is_down_events_wait_on_disk_and_follow_once(bench: Bench) -> None:
    bench.log.down = True
    assert await bench.statuses(stage_event("1"), stage_event("2")) == ["accepted", "accepted"]
    assert await bench.statuses(stage_event("1"), stage_event("3")) == ["duplicate", "accepted"]
    assert await bench.places() == {"1": None, "2": None, "3": None}
    assert (bench.unappended.oldest(), bench.spool.oldest) == (None, START)
    bench.log.down = False
    await bench.drained()
    assert bench.log.ids == ["1", "2", "3"]
    assert await bench.places() == {"1": 0, "2": 1, "3": 2}
    assert bench.spool.oldest is None


async def test_what_waits_is_found_by_the_next_process(
    bench: Bench, database_url: str, tmp_path: Path
) -> None:
    bench.log.down = True
    await bench.send(stage_event("1"), stage_event("2"))
    await bench.close()
    following = await Bench(database_url, bench.tenant, tmp_path).open()
    await following.drained()
    assert following.log.ids == ["1", "2"]
    assert await following.places() == {"1": 0, "2": 1}
    await following.close()
    await following.database.close()


async def test_what_a_process_that_is_gone_left_is_drained_too(
    bench: Bench, database_url: str, tmp_path: Path
) -> None:
    other = Bench(database_url, bench.tenant, tmp_path)
    other.log.down = True
    await (await other.open()).send(stage_event("1"))
    watcher = await Bench(database_url, bench.tenant, tmp_path).open(spool_look=0.05)
    await other.close()
    async with asyncio.timeout(30):
        while watcher.log.ids != ["1"]:
            await asyncio.sleep(0.01)
    for one in (watcher, other):
        await one.close()
        await one.database.close()


async def test_no_event_of_a_key_overtakes_another(bench: Bench) -> None:
    """The log comes back while frames of a deal wait: its next event waits behind them."""
    log = HeldLog()
    await bench.open(log, append_deadline=0.05)
    assert await bench.statuses(deal_event("D", "1")) == ["accepted"]
    assert await bench.statuses(deal_event("D", "2")) == ["accepted"]
    log.gate.set()
    assert await bench.statuses(deal_event("D", "3")) == ["accepted"]
    await bench.drained()
    first = list(dict.fromkeys(log.ids))
    assert first == ["1", "2", "3"], "what came twice has one effect: the first one's"
    await bench.close()


async def test_a_part_of_the_keys_always_takes_that_way(bench: Bench) -> None:
    await bench.open(spool_sample=1)
    assert await bench.statuses(stage_event("1")) == ["accepted"]
    await bench.drained()
    assert bench.log.ids == ["1"]


async def test_a_full_spool_promises_nothing(bench: Bench) -> None:
    await bench.open(spool_max_bytes=10)
    bench.log.down = True
    with pytest.raises(SpoolFull):
        await bench.send(stage_event("1"))
    assert await bench.count("acceptance") == 0
    bench.log.down = False
    assert await bench.statuses(stage_event("1")) in (["accepted"], ["duplicate"])


async def test_when_events_have_waited_too_long_new_ones_are_refused(bench: Bench) -> None:
    bench.log.down = True
    await bench.send(stage_event("1"))
    bench.clock.advance(timedelta(days=1, seconds=1))
    with pytest.raises(SpoolFull, match="waited"):
        await bench.send(stage_event("2"))
    assert bench.spool.refuses() is not None


async def test_an_event_that_the_log_refuses_for_good_stops_no_other(bench: Bench) -> None:
    log = RefusingLog("2")
    log.down = True
    await bench.open(log)
    await bench.send(stage_event("1"), stage_event("2"), stage_event("3"))
    log.down = False
    await bench.drained()
    assert log.ids == ["1", "3"]
    assert await bench.count("dead_letters") == 1


class RefusingLog(ScriptedLog):
    """A log that finds one event too large."""

    def __init__(self, refused: str) -> None:
        super().__init__()
        self.refused = refused.encode()

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        ids = [dict(record.headers)["ce_id"] for record in records]
        if not self.down and self.refused in ids:
            raise RecordTooLarge("scripted")
        return await super().append(topic, records)


def deal_event(deal: str, event_id: str) -> dict[str, Any]:
    return stage_event(event_id, data={"deal_id": deal, "stage_id": event_id})


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


async def held(bench: Bench, **limits: float) -> HeldLog:
    """Replace the bench's log by one that is slow."""
    log = HeldLog()
    await bench.open(log, **limits)
    return log


async def test_an_append_that_is_not_acknowledged_in_time_takes_the_spool(bench: Bench) -> None:
    log = await held(bench, append_deadline=0.05)
    assert await bench.statuses(stage_event("1")) == ["accepted"]
    assert len(bench.spool) == 1
    log.gate.set()
    await bench.drained()
    assert await bench.statuses(stage_event("1")) == ["duplicate"]
    assert await bench.count("acceptance") == 1


async def test_events_on_their_way_hold_the_watermark(bench: Bench) -> None:
    log = await held(bench, append_deadline=10)
    sending = asyncio.create_task(bench.send(stage_event("1")))
    await asyncio.wait_for(log.reached.wait(), 10)
    assert bench.unappended.oldest() == START
    log.gate.set()
    await sending
    assert bench.unappended.oldest() is None


async def test_concurrent_requests_share_appends(bench: Bench) -> None:
    log = await held(bench, append_deadline=10)
    sending = [asyncio.create_task(bench.send(stage_event(str(n)))) for n in range(50)]
    await asyncio.wait_for(log.reached.wait(), 10)
    log.gate.set()
    await asyncio.gather(*sending)
    assert sorted(log.ids) == sorted(str(n) for n in range(50))
    assert log.appends < 15
    assert await bench.count("acceptance") == 50


async def test_without_postgresql_events_pass_unindexed(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    bench = await Bench(url, "acme", tmp_path).open()
    assert await bench.statuses(stage_event("1")) == ["accepted"]
    assert await bench.statuses(stage_event("1")) == ["accepted"]
    assert bench.log.ids == ["1", "1"]
    await bench.close()
    await bench.database.close()


async def test_without_postgresql_a_collision_in_a_batch_costs_its_neighbours_nothing(
    tmp_path: Path,
) -> None:
    bench = await Bench("postgresql://nobody@127.0.0.1:1/none", "acme", tmp_path).open()
    batch = [stage_event("1", "a"), stage_event("1", "b"), stage_event("2")]
    assert await bench.statuses(*batch) == ["accepted", "conflict", "accepted"]
    assert bench.log.ids == ["1", "2"]
    assert any(file.stat().st_size for file in bench.aside.glob("*/*.seg")), "it waits on disk"
    await bench.close()
    await bench.database.close()


async def test_a_silent_index_is_left_alone_for_a_moment_and_then_used_again(
    bench: Bench, database_url: str, tmp_path: Path
) -> None:
    async with bench.database.across_tenants() as tx:
        await tx.execute(text("LOCK TABLE ingest.acceptance IN ACCESS EXCLUSIVE MODE"))
        impatient = Bench(database_url, bench.tenant, tmp_path / "other")
        await impatient.open(lookup_deadline=0.5)
        assert await impatient.statuses(stage_event("1")) == ["accepted"]
    assert await impatient.statuses(stage_event("1")) == ["accepted"]
    impatient.clock.advance(timedelta(seconds=2))
    await impatient.send(stage_event("2"))
    assert await impatient.count("acceptance") == 1
    await impatient.close()
    await impatient.database.close()


async def test_two_requests_with_one_id_at_once_are_both_answered(bench: Bench) -> None:
    log = await held(bench, append_deadline=10)
    sending = [asyncio.create_task(bench.statuses(stage_event("1"))) for _ in range(2)]
    await asyncio.wait_for(log.reached.wait(), 10)
    log.gate.set()
    assert list(await asyncio.gather(*sending)) == [["accepted"], ["accepted"]]
    assert await bench.count("acceptance") == 1
    assert await bench.statuses(stage_event("1")) == ["duplicate"]


async def test_an_event_that_was_spooled_twice_does_not_stop_the_spool(bench: Bench) -> None:
    """As after a kill between the write and the answer: the sender says it again."""
    receipt = Receipt(bench.tenant, START)
    told = [examine_structured(stage_event(n), receipt) for n in ("1", "2", "1")]
    bench.log.down = True
    await bench.spool.put([event for event in told if isinstance(event, Candidate)])
    bench.log.down = False
    await bench.drained()
    assert bench.log.ids == ["1", "2", "1"]
    assert await bench.places() == {"1": 0, "2": 1}


async def test_an_index_that_fails_in_its_own_way_does_not_stop_the_spool(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(SqlIndex, "write", broken)
    await bench.spool.put(
        [event for event in [examine_structured(stage_event("1"), Receipt(bench.tenant, START))]
         if isinstance(event, Candidate)]
    )  # fmt: skip
    await bench.drained()
    assert bench.log.ids == ["1"]


async def test_the_index_gets_only_the_time_that_the_log_left(bench: Bench) -> None:
    class Slow(ScriptedLog):
        async def append(
            self, topic: str, records: Sequence[NewRecord]
        ) -> Sequence[tuple[int, int]]:
            bench.clock.advance(timedelta(seconds=SETTINGS.accept_deadline))
            return await super().append(topic, records)

    await bench.open(Slow())
    assert await bench.statuses(stage_event("1")) == ["accepted"]
    assert await bench.places() == {}
    await bench.open(ScriptedLog())
    await bench.send(stage_event("2"))
    assert await bench.places() == {"2": 0}
