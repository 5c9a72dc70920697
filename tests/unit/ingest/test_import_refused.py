"""Imports over a log that refuses some records for good: their rows fail, and nobody else's."""

import asyncio
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from libs.common.eventlog.port import EventLog, LogUnavailable, NewRecord, RecordTooLarge
from libs.common.expr.cel import Cel
from services.ingest.adapters.import_lines import FileLines
from services.ingest.app.imports import Bodies, ChunkResult, Claim, Counts, NewImport
from services.ingest.app.run_import import ImportRunner
from services.ingest.domain.model import EventKey
from services.ingest.settings import IngestSettings

SETTINGS = IngestSettings(import_chunk_rows=8)
JOB = NewImport(
    tenant_id="t", import_id=UUID(int=1), origin="backfill", recorded="now", dry_run=False,
    encoding="identity", path="body", size=1, actor="key:test",
    started_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
)  # fmt: skip


MAPPING = {"kind": "json", "events": [
    {"type": "deal.stage_changed", "data": {"deal_id": "row.deal", "stage_id": f"row.{column}"}}
    for column in ("one", "two", "three")
]}  # fmt: skip


@dataclass
class Log:
    """Takes values of at most `most` bytes, a group with a larger one not at all."""

    most: int
    down_at: int = 0
    """The append, counted from 1, that is not answered."""
    appends: int = 0
    values: list[bytes] = field(default_factory=list)

    async def append(self, topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        self.appends += 1
        if self.appends == self.down_at:
            raise LogUnavailable("scripted")
        if any(len(record.value or b"") > self.most for record in records):
            raise RecordTooLarge("larger than the topic takes")
        self.values += [record.value or b"" for record in records]
        return [(0, n) for n in range(len(records))]


@dataclass
class Kept:
    """One import and what its chunks leave; `Claims` and `Bodies` in memory."""

    body: bytes
    results: list[ChunkResult] = field(default_factory=list)
    hashes: dict[EventKey, bytes] = field(default_factory=dict)
    ended: list[str | None] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    async def known(self, claim: Claim, keys: Sequence[EventKey]) -> dict[EventKey, bytes]:
        return {key: self.hashes[key] for key in keys if key in self.hashes}

    async def commit(self, claim: Claim, result: ChunkResult) -> Claim:
        self.results.append(result)
        self.hashes |= {one.candidate.key: one.candidate.body_hash for one in result.appended}
        return Claim(claim.job, claim.counts.plus(result.counts))

    async def mapping(self, claim: Claim) -> Mapping[str, Any]:
        return MAPPING

    async def extend(self, claim: Claim) -> None: ...

    async def finish(self, claim: Claim, failure: str | None) -> bool:
        self.ended.append(failure)
        return True

    def open(self, path: str, encoding: str) -> FileLines:
        return FileLines(io.BytesIO(self.body), None)

    def remove(self, path: str) -> None:
        self.removed.append(path)

    @property
    def counts(self) -> Counts:
        total = Counts()
        for result in self.results:
            total = total.plus(result.counts)
        return total

    @property
    def errors(self) -> list[tuple[int, str]]:
        return [(error.row, error.code) for result in self.results for error in result.errors]


def ndjson(*events: Any) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


async def run(log: Log, *events: Any, **job: Any) -> Kept:
    kept = Kept(ndjson(*events))
    bodies = cast(Bodies, kept)
    runner = ImportRunner(cast(EventLog, log), cast(Any, kept), bodies, Cel(), SETTINGS)
    await runner.run(Claim(replace(JOB, **job), Counts()), asyncio.Event())
    return kept


def event(number: int, stage: str = "a") -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": str(number), "source": "/crm", "type": "deal.stage_changed",
        "time": "2026-03-01T09:00:00Z", "data": {"deal_id": f"D-{number}", "stage_id": stage},
    }  # fmt: skip


LONG = "s" * 100


async def test_a_row_that_the_log_refuses_is_rejected_and_the_others_go_on() -> None:
    log = Log(most=100)
    kept = await run(log, *(event(n, LONG if n in (3, 4, 10) else "a") for n in range(1, 21)))
    assert kept.ended == [None], "the import is done, not failed"
    assert kept.counts == Counts(rows=20, accepted=17, rejected=3)
    assert kept.errors == [(n, "refused_by_log") for n in (3, 4, 10)]
    deals = [json.loads(value)["deal_id"] for value in log.values]
    assert deals == [f"D-{n}" for n in range(1, 21) if n not in (3, 4, 10)], "in their order"


async def test_a_refused_row_tells_why_and_what_it_was_and_is_not_remembered() -> None:
    kept = await run(Log(most=100), event(1, LONG), event(2))
    (error,) = kept.results[0].errors
    assert "larger than the topic takes" in error.detail
    assert '"id": "1"' in error.raw
    assert [key.event_id for key in kept.hashes] == ["2"]


async def test_a_refused_row_that_is_there_twice_is_rejected_twice() -> None:
    """A duplicate is an event that is in the log already; this one is not."""
    kept = await run(Log(most=100), event(1, LONG), event(1, LONG), event(2), event(2))
    assert kept.counts == Counts(rows=4, accepted=1, duplicates=1, rejected=2)
    assert kept.errors == [(1, "refused_by_log"), (2, "refused_by_log")]


async def test_a_mapped_row_of_which_some_events_are_refused_is_one_rejected_row() -> None:
    row = {"deal": "D", "one": LONG, "two": "b", "three": LONG + "c"}
    kept = await run(Log(most=100), row, {**row, "one": "x", "three": "y"}, mapping=("m", 1))
    assert kept.counts == Counts(rows=2, accepted=3, duplicates=1, rejected=1)
    assert kept.errors == [(1, "refused_by_log")]


async def test_a_log_that_goes_away_meanwhile_is_waited_for() -> None:
    log = Log(most=100, down_at=3)
    kept = await run(log, event(1), event(2, LONG), event(3))
    assert kept.ended == [None]
    assert kept.counts == Counts(rows=3, accepted=2, rejected=1)


async def test_all_rows_may_be_refused() -> None:
    kept = await run(Log(most=0), *map(event, range(9)))
    assert (kept.ended, kept.counts) == ([None], Counts(rows=9, rejected=9))
    assert kept.hashes == {}
