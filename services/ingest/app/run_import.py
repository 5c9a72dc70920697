"""Running one import: chunk by chunk, each durable in the log before it is counted.

A chunk's index entries, errors, counts and checkpoint are one transaction after the append. Killed
in between, the chunk runs again: its events are published twice (the funnel's unique key makes the
effect exact), but its rows are counted once, and as what they were.
"""

import asyncio
from contextlib import suppress
from functools import partial

import structlog

from libs.common import faults, metrics
from libs.common.eventlog.port import EventLog, LogUnavailable, UnknownTopic
from libs.common.expr.port import Expressions
from libs.common.retry import Backoff
from services.ingest.app import counting
from services.ingest.app.compiling import usable
from services.ingest.app.import_rows import Rows, Stored, open_rows
from services.ingest.app.imports import (
    BadUpload,
    Bodies,
    ChunkResult,
    Claim,
    ClaimLost,
    Claims,
    Counts,
    UnusableFile,
    UploadTooLarge,
)
from services.ingest.app.pieces import Pieces
from services.ingest.app.ports import IndexUnavailable
from services.ingest.domain.decide import decide
from services.ingest.domain.mapping.compiled import CompiledMapping
from services.ingest.domain.model import Decision
from services.ingest.domain.refused import without
from services.ingest.domain.rows import Chunk
from services.ingest.settings import IngestSettings

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
SAMPLE = 10
"""Events of a dry run that are shown."""
_log = structlog.get_logger(__name__)


class ImportRunner:
    """Runs claimed imports to their end, or to `stop`."""

    def __init__(
        self,
        log: EventLog,
        claims: Claims,
        bodies: Bodies,
        expressions: Expressions,
        settings: IngestSettings,
    ) -> None:
        self._log, self._claims, self._bodies, self._settings = log, claims, bodies, settings
        self._expressions = expressions

    async def run(self, claim: Claim, stop: asyncio.Event) -> None:
        """Go on with an import; returns when it is finished, given up or `stop` is set."""
        try:
            await self._run(claim, stop)
        except ClaimLost:
            _log.warning("import_claim_lost", import_id=str(claim.job.import_id))
        except IndexUnavailable as error:
            _log.warning("import_left", import_id=str(claim.job.import_id), error=error)
        except UnusableFile as error:
            await self._fail(claim, str(error), stop)
        except Exception as error:  # noqa: BLE001  one bad import must not stop the others
            _log.exception("import_failed", import_id=str(claim.job.import_id))
            await self._fail(claim, f"{type(error).__name__}: {error}", stop)

    async def _run(self, claim: Claim, stop: asyncio.Event) -> None:
        mapping = await self._mapping(claim)
        lines = await asyncio.to_thread(self._open, claim, mapping)
        ahead = self._read_ahead(lines)
        pieces = Pieces(self._log, self._settings.max_group)
        try:
            while not stop.is_set() and (chunk := await ahead).lines:
                ahead = self._read_ahead(lines)
                claim = await self._persist(claim, chunk, pieces, stop)
            if stop.is_set():
                await self._claims.release(claim)
            else:
                await self._finish(claim, None, stop)
        finally:
            with suppress(BadUpload, UploadTooLarge, OSError, ValueError):
                await ahead
            lines.close()

    async def _mapping(self, claim: Claim) -> CompiledMapping | None:
        if claim.job.mapping is None:
            return None
        definition = await self._claims.mapping(claim)
        return await asyncio.to_thread(usable, definition, self._expressions)

    def _open(self, claim: Claim, mapping: CompiledMapping | None) -> Rows:
        job = claim.job
        stored = Stored(job.path, job.encoding, job.media)
        rows = open_rows(self._bodies, stored, mapping, claim.mapping_source, claim.receipt)
        rows.skip(claim.counts.rows)
        return rows

    def _read_ahead(self, lines: Rows) -> "asyncio.Task[Chunk]":
        """Read and judge the next chunk in a thread, while the previous one is being stored."""
        return asyncio.create_task(asyncio.to_thread(self._next_chunk, lines))

    def _next_chunk(self, lines: Rows) -> Chunk:
        return lines.next(self._settings.import_chunk_rows, self._settings.import_chunk_bytes)

    async def _persist(
        self, claim: Claim, chunk: Chunk, pieces: Pieces, stop: asyncio.Event
    ) -> Claim:
        """Store a chunk, however long the log or the database are away, and keep the claim."""
        pieces.next_chunk()
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while not stop.is_set():
            done = pieces.done
            try:
                return await self._store(claim, chunk, pieces)
            except (LogUnavailable, UnknownTopic, IndexUnavailable) as error:
                _log.warning("import_waits", import_id=str(claim.job.import_id), error=error)
            if pieces.done > done:
                backoff.reset()
            await backoff.pause(stop)
            with suppress(IndexUnavailable):
                await self._claims.extend(claim)
        return claim

    async def _store(self, claim: Claim, chunk: Chunk, pieces: Pieces) -> Claim:
        known = await self._claims.known(claim, [c.key for c in chunk.candidates])
        decision, dry = decide(chunk.examined, known), claim.job.dry_run
        stay = partial(self._claims.extend, claim)
        appended, refused = ((), {}) if dry else await pieces.append(decision.fresh, stay)
        faults.hit("ingest.import.appended")
        if refused:
            _log.error(
                "imported_events_refused", import_id=str(claim.job.import_id), events=len(refused)
            )
            chunk, decision = without(chunk, decision, refused)
        result = ChunkResult(
            counts=_counts(chunk, decision),
            appended=appended,
            dry=decision.fresh if dry else (),
            conflicts=() if dry else decision.conflicts,
            errors=chunk.errors,
            sample=chunk.candidates[:SAMPLE] if dry else (),
        )
        claim = await self._claims.commit(claim, result)
        faults.hit("ingest.import.committed")
        _count(result.counts)
        if not dry:
            counting.judged("import", chunk.examined, decision)
        return claim

    async def _fail(self, claim: Claim, failure: str, stop: asyncio.Event) -> None:
        """Whatever is wrong with that too: the others go on, and this one is claimed again once
        its lease is over."""
        try:
            await self._finish(claim, failure, stop)
        except Exception:  # noqa: BLE001  told loudly
            _log.exception("import_not_ended", import_id=str(claim.job.import_id))

    async def _finish(self, claim: Claim, failure: str | None, stop: asyncio.Event) -> None:
        """End an import, however long the database is away; its body stays for whoever holds the
        import by then, and a sweep takes what is nobody's."""
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while True:
            try:
                ended = await self._claims.finish(claim, failure)
                break
            except IndexUnavailable as error:
                _log.warning("import_waits", import_id=str(claim.job.import_id), error=error)
            await backoff.pause(stop)
            if stop.is_set():
                return
        if ended:
            with suppress(OSError):
                await asyncio.to_thread(self._bodies.remove, claim.job.path)


def _counts(chunk: Chunk, decision: Decision) -> Counts:
    by = [verdict.status for verdict in decision.verdicts]
    return Counts(
        rows=chunk.lines,
        accepted=by.count("accepted"),
        duplicates=by.count("duplicate"),
        rejected=chunk.rejected,
        skipped=chunk.skipped,
    )


def _count(counts: Counts) -> None:
    for outcome in metrics.IMPORT_OUTCOMES:
        metrics.INGEST_IMPORT_ROWS.labels(outcome).inc(getattr(counts, outcome))
