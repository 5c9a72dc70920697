"""Running imports against real claims: exact counts whatever interrupts them."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from libs.common.clock import FakeClock
from libs.common.contracts.envelope import from_headers
from libs.common.db.database import Database
from libs.common.eventlog.port import NewRecord, RecordTooLarge
from libs.common.expr.cel import Cel
from libs.common.ids import uuid7
from services.ingest.adapters import imports as sql
from services.ingest.adapters import mappings
from services.ingest.adapters.import_files import ImportFiles
from services.ingest.adapters.imports import SqlClaims
from services.ingest.app.imports import ChunkResult, ClaimLost, Counts, Encoding, NewImport
from services.ingest.app.run_import import ImportRunner
from services.ingest.domain.examine import examine_structured
from services.ingest.domain.mapping.versions import next_version
from services.ingest.domain.model import Candidate
from services.ingest.entrypoints.import_worker import ImportWorker
from services.ingest.settings import IngestSettings
from tests.integration.ingest.fakes import START, ScriptedLog, ndjson, stage_event
from tests.unit.ingest.mapping.made import CHANGED

pytestmark = pytest.mark.postgres
SETTINGS = IngestSettings(import_chunk_rows=10, import_poll=0.05)


class Works:
    """A folder, a log and workers over one database."""

    def __init__(self, url: str, tenant: str, folder: Path) -> None:
        self.database = Database(url, "headway_ingest_worker")
        self.tenant, self.folder = tenant, folder
        self.log = ScriptedLog()
        self.clock = FakeClock(START)
        self.files = ImportFiles(folder, SETTINGS)

    def worker(self, name: str = "w1", lease: float = 30, log: Any = None) -> ImportWorker:
        claims = SqlClaims(self.database, self.clock, name, lease)
        runner = ImportRunner(log or self.log, claims, self.files, Cel(), SETTINGS)
        return ImportWorker(runner, claims, self.files, self.clock, SETTINGS)

    async def add(self, body: bytes, encoding: Encoding = "identity", **changes: Any) -> UUID:
        import_id = uuid7(self.clock)
        path, size = await self.files.receive(import_id, _stream(body), encoding)
        job = NewImport(
            tenant_id=self.tenant,
            import_id=import_id,
            origin="backfill",
            recorded="now",
            dry_run=False,
            encoding=encoding,
            path=path,
            size=size,
            actor="key:test",
            started_at=START,
        )
        async with self.database.across_tenants() as tx:
            await sql.create(tx, replace(job, **changes))
        return import_id

    async def map(self, mapping_id: str, event: Mapping[str, Any]) -> None:
        """Publish the first version of a mapping for tables."""
        definition = {"kind": "csv", "events": [event]}
        new = next_version(None, (self.tenant, mapping_id), definition, START, "key:test")
        async with self.database.across_tenants() as tx:
            await mappings.publish(tx, self.clock, None, new)

    async def row(self, import_id: UUID) -> dict[str, Any]:
        async with self.database.across_tenants() as tx:
            statement = text("SELECT * FROM ingest.imports WHERE import_id = :id")
            return dict((await tx.execute(statement, {"id": import_id})).mappings().one())

    async def errors(self, import_id: UUID) -> list[tuple[int, str]]:
        async with self.database.across_tenants() as tx:
            statement = text(
                "SELECT row, code FROM ingest.import_errors WHERE import_id = :id ORDER BY row"
            )
            return [(r.row, r.code) for r in await tx.execute(statement, {"id": import_id})]

    async def until_ended(self, import_id: UUID, worker: ImportWorker) -> dict[str, Any]:
        """Run a worker until the import has ended."""
        stop = asyncio.Event()
        running = asyncio.create_task(worker.run(stop))
        try:
            async with asyncio.timeout(30):
                while (row := await self.row(import_id))["state"] == "running":
                    await asyncio.sleep(0.02)
        finally:
            stop.set()
            await running
        return row


async def _stream(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]


@pytest.fixture
async def works(
    database_url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Works]:
    works = Works(database_url, request.node.name[:60], tmp_path / "imports")
    yield works
    await works.database.close()


def counts(row: dict[str, Any]) -> tuple[int, ...]:
    return tuple(row[name] for name in ("rows", "accepted", "duplicates", "rejected", "skipped"))


MIXED = (
    ndjson(stage_event("1"), stage_event("1"), stage_event("2", 7))
    + b"\n  \r\n"
    + b"{not json}\n"
    + b'{"id": "\xff"}\n'
    + b"[1]\n"
    + b"9" * 5000
    + b"\n"
    + b"x" * 1_100_000
    + b"\n"
    + ndjson(stage_event("3"), stage_event("1", "b"))
)


async def test_every_row_gets_its_verdict_and_none_spoils_another(works: Works) -> None:
    import_id = await works.add(MIXED)
    row = await works.until_ended(import_id, works.worker())
    assert (row["state"], counts(row)) == ("done", (12, 2, 2, 6, 2))
    assert works.log.ids == ["1", "3"]
    assert await works.errors(import_id) == [
        (3, "invalid_field"),
        (6, "invalid_json"),
        (7, "invalid_utf8"),
        (8, "invalid_field"),
        (9, "invalid_field"),
        (10, "too_large"),
    ]
    assert list(works.folder.iterdir()) == []


async def test_gzip_gives_the_same(works: Works) -> None:
    import_id = await works.add(gzip.compress(MIXED, 1), "gzip")
    assert counts(await works.until_ended(import_id, works.worker())) == (12, 2, 2, 6, 2)


async def test_rows_share_the_start_or_bring_their_own_time(works: Works) -> None:
    body = ndjson(stage_event("1"), stage_event("2", time="2025-01-01T00:00:00Z"))
    for recorded in ("now", "occurred"):
        renamed = body.replace(b'"/crm"', f'"/{recorded}"'.encode())
        await works.until_ended(await works.add(renamed, recorded=recorded), works.worker())
    envelopes = [from_headers(record.headers, record.value) for record in works.log.records]
    assert [e.recorded_at == START for e in envelopes] == [True, True, False, False]
    assert all(e.recorded_at == e.occurred_at for e in envelopes[2:])
    assert {e.origin for e in envelopes} == {"backfill"}


class DyingLog(ScriptedLog):
    """Kills its caller right after an append was acknowledged."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        places = await super().append(topic, records)
        if self.appends == 3:
            raise asyncio.CancelledError
        return places


async def test_killed_between_append_and_checkpoint_counts_stay_exact(works: Works) -> None:
    events = [stage_event(str(n), 7 if n % 10 == 0 else "a") for n in range(100)]
    import_id = await works.add(ndjson(*events))
    log = DyingLog()
    dying = asyncio.create_task(works.worker("w1", 0, log).run(asyncio.Event()))
    await asyncio.wait([dying], timeout=30)
    assert dying.cancelled()
    assert counts(await works.row(import_id)) == (20, 18, 0, 2, 0)
    row = await works.until_ended(import_id, works.worker("w2", log=log))
    assert counts(row) == (100, 90, 0, 10, 0)
    assert len(log.ids) == 99
    assert set(log.ids) == {str(n) for n in range(100) if n % 10}
    assert len(await works.errors(import_id)) == 10


async def test_a_table_with_line_breaks_in_quotes_goes_on_where_it_was_killed(works: Works) -> None:
    """A checkpoint counts records, which are found again from the start, whatever lies in them."""
    await works.map("m", CHANGED)
    quoted = [f'"{n}","a\n""b"\n' if n % 3 else f'{n},"never closed\n' for n in range(100)]
    import_id = await works.add(
        b"deal,stage\n" + "".join(quoted).encode(), media="csv", mapping=("m", 1)
    )
    log = DyingLog()
    dying = asyncio.create_task(works.worker("w1", 0, log).run(asyncio.Event()))
    await asyncio.wait([dying], timeout=30)
    assert dying.cancelled()
    halfway = await works.row(import_id)
    assert halfway["rows"] == 20
    row = await works.until_ended(import_id, works.worker("w2", log=log))
    deals = [json.loads(record.value or b"")["deal_id"] for record in log.records]
    assert set(deals) == {str(n) for n in range(100) if n % 3}
    assert row["accepted"] == len(set(deals))
    assert row["rejected"] == len(await works.errors(import_id)) == 34
    assert row["accepted"] + row["rejected"] == row["rows"] == 100


async def test_a_table_whose_header_does_not_fit_fails_before_any_row(works: Works) -> None:
    await works.map("m", CHANGED)
    import_id = await works.add(b"deal,Stage\nD1,x\n", media="csv", mapping=("m", 1))
    row = await works.until_ended(import_id, works.worker())
    assert (row["state"], row["rows"]) == ("failed", 0)
    assert row["detail"].startswith("the mapping reads columns that the header lacks: 'stage'")
    gone = await works.add(b"deal,stage\n", media="csv", mapping=("gone", 1))
    row = await works.until_ended(gone, works.worker())
    assert (row["state"], row["detail"]) == ("failed", "the mapping gone has no version 1")


async def test_an_import_waits_for_the_log_and_loses_nothing(works: Works) -> None:
    works.log.fail_at = 2
    import_id = await works.add(ndjson(*(stage_event(str(n)) for n in range(30))))
    row = await works.until_ended(import_id, works.worker())
    assert counts(row) == (30, 30, 0, 0, 0)
    assert len(works.log.ids) == 30


class NarrowLog(ScriptedLog):
    """Takes no value of more than 100 bytes, as a topic whose limit was lowered."""

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        if any(len(record.value or b"") > 100 for record in records):
            raise RecordTooLarge("scripted")
        return await super().append(topic, records)


async def test_rows_that_the_log_refuses_for_good_fail_alone(works: Works) -> None:
    events = [stage_event(str(n), "s" * 100 if n in (3, 17) else "a") for n in range(1, 31)]
    body, narrow = ndjson(*events), NarrowLog()
    import_id = await works.add(body)
    row = await works.until_ended(import_id, works.worker(log=narrow))
    assert (row["state"], counts(row)) == ("done", (30, 28, 0, 2, 0))
    assert await works.errors(import_id) == [(3, "refused_by_log"), (17, "refused_by_log")]
    assert narrow.ids == [str(n) for n in range(1, 31) if n not in (3, 17)]
    again = await works.until_ended(await works.add(body), works.worker())
    assert counts(again) == (30, 2, 28, 0, 0), "once the log takes them they enter"


async def test_a_stopped_worker_hands_over_at_once(works: Works) -> None:
    works.log.down = True
    import_id = await works.add(ndjson(*(stage_event(str(n)) for n in range(30))))
    stop = asyncio.Event()
    first = asyncio.create_task(works.worker("w1").run(stop))
    async with asyncio.timeout(30):
        while works.log.appends == 0:
            await asyncio.sleep(0.01)
        stop.set()
        await first
    works.log.down = False
    assert counts(await works.until_ended(import_id, works.worker("w2")))[1] == 30


async def test_a_worker_that_lost_its_claim_changes_nothing(works: Works) -> None:
    import_id = await works.add(ndjson(*(stage_event(str(n)) for n in range(30))))
    late = SqlClaims(works.database, works.clock, "late", 0)
    claim = await late.claim()
    assert claim is not None
    row = await works.until_ended(import_id, works.worker("w2"))
    await works.files.receive(import_id, _stream(ndjson(stage_event("99"))), "identity")
    runner = ImportRunner(works.log, late, works.files, Cel(), SETTINGS)
    await runner.run(claim, asyncio.Event())
    assert await works.row(import_id) == row


async def test_a_repeated_import_is_all_duplicates(works: Works) -> None:
    body = ndjson(*(stage_event(str(n)) for n in range(25)))
    await works.until_ended(await works.add(body), works.worker())
    row = await works.until_ended(await works.add(body), works.worker())
    assert counts(row) == (25, 0, 25, 0, 0)
    assert len(works.log.ids) == 25


async def test_a_dry_run_tells_the_same_and_leaves_nothing(works: Works) -> None:
    events = [stage_event(str(n % 40), 7 if n % 9 == 0 else "a") for n in range(80)]
    dry = await works.until_ended(await works.add(ndjson(*events), dry_run=True), works.worker())
    assert works.log.appends == 0
    async with works.database.across_tenants() as tx:
        for table in ("acceptance", "import_keys", "dead_letters"):
            statement = text(f"SELECT count(*) FROM ingest.{table} WHERE tenant_id = :t")  # noqa: S608
            assert await tx.scalar(statement, {"t": works.tenant}) == 0
    wet = await works.until_ended(await works.add(ndjson(*events)), works.worker())
    assert counts(dry) == counts(wet)
    assert dry["duplicates"] > 0


async def test_an_import_whose_file_is_gone_fails_with_a_reason(works: Works) -> None:
    import_id = await works.add(ndjson(stage_event("1")))
    for file in works.folder.iterdir():
        file.unlink()
    row = await works.until_ended(import_id, works.worker())
    assert row["state"] == "failed"
    assert "FileNotFoundError" in row["detail"]
    assert row["finished_at"] is not None


async def test_conflicts_of_an_import_are_kept(works: Works) -> None:
    import_id = await works.add(ndjson(stage_event("1"), stage_event("1", "b")))
    assert counts(await works.until_ended(import_id, works.worker())) == (2, 1, 1, 0, 0)
    async with works.database.across_tenants() as tx:
        statement = text("SELECT event_id FROM ingest.dead_letters WHERE tenant_id = :t")
        assert (await tx.execute(statement, {"t": works.tenant})).scalars().all() == ["1"]


async def test_bodies_are_private_files(works: Works) -> None:
    await works.files.receive(uuid7(works.clock), _stream(b"{}\n"), "identity")
    (file,) = works.folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert works.folder.stat().st_mode & 0o777 == 0o700


NOTHING = ChunkResult(Counts(rows=5, accepted=5), (), (), (), ())


async def test_a_checkpoint_counts_only_for_its_holder_and_from_where_it_is(works: Works) -> None:
    import_id = await works.add(ndjson(*(stage_event(str(n)) for n in range(30))))
    slow = SqlClaims(works.database, works.clock, "slow", 0)
    next_one = SqlClaims(works.database, works.clock, "next", 30)
    stale = await slow.claim()
    claim = await next_one.claim()
    assert stale is not None
    assert claim is not None
    with pytest.raises(ClaimLost):
        await slow.commit(stale, NOTHING)
    further = await next_one.commit(claim, NOTHING)
    with pytest.raises(ClaimLost):
        await next_one.commit(claim, NOTHING)
    await slow.finish(stale, "must not show")
    row = await works.row(import_id)
    assert (row["state"], row["rows"], further.counts.rows) == ("running", 5, 5)
    assert await slow.claim() is None
    await next_one.release(further)
    assert (again := await slow.claim()) is not None
    assert again.counts == further.counts
    assert await slow.finish(again, None)


async def test_a_claim_is_extended_by_its_holder_from_where_it_is(works: Works) -> None:
    import_id = await works.add(ndjson(*(stage_event(str(n)) for n in range(30))))
    brief, holder, other = (
        SqlClaims(works.database, works.clock, name, lease)
        for name, lease in (("holder", 0), ("holder", 30), ("other", 30))
    )
    claim = await brief.claim()
    assert claim is not None
    await holder.extend(claim)
    assert await other.claim() is None
    further = await holder.commit(claim, NOTHING)
    with pytest.raises(ClaimLost):
        await holder.extend(claim)
    await holder.release(further)
    taken = await other.claim()
    assert taken is not None
    with pytest.raises(ClaimLost):
        await holder.extend(further)
    assert not await holder.finish(further, "must not show")
    assert [await other.finish(taken, None), await other.finish(taken, None)] == [True, False]
    assert (await works.row(import_id))["state"] == "done"


async def test_who_lost_a_dry_run_forgets_nothing_of_it(works: Works) -> None:
    await works.add(ndjson(stage_event("1")), dry_run=True)
    late, other = (SqlClaims(works.database, works.clock, name, 0) for name in ("late", "other"))
    claim = await late.claim()
    assert claim is not None
    seen = examine_structured(stage_event("1"), claim.receipt)
    assert isinstance(seen, Candidate)
    claim = await late.commit(claim, replace(NOTHING, dry=(seen,)))
    taken = await other.claim()
    assert taken is not None
    assert not await late.finish(claim, "must not show")
    assert await other.known(taken, [seen.key]) == {seen.key: seen.body_hash}
    assert await other.finish(taken, None)
    assert await other.known(taken, [seen.key]) == {}
