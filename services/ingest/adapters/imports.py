"""Imports in SQL: creation, claims by lease, the checkpoint transaction, answers."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import CursorResult, RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.contracts.envelope import Envelope
from libs.common.db.database import Database
from services.ingest.adapters import acceptance
from services.ingest.adapters.transactions import worker_transaction
from services.ingest.app.imports import (
    ChunkResult,
    Claim,
    ClaimLost,
    Counts,
    NewImport,
    UnusableFile,
)
from services.ingest.domain.model import Candidate, EventKey
from services.ingest.domain.rows import RowError

_CREATE = text("""
    INSERT INTO ingest.imports (tenant_id, import_id, state, origin, recorded, dry_run, encoding,
        path, bytes, actor, started_at, media, mapping_id, mapping_version)
    VALUES (:tenant_id, :import_id, 'running', :origin, :recorded, :dry_run, :encoding, :path,
        :size, :actor, :started_at, :media, :mapping_id, :mapping_version)
""")
# Tenants in turn: whoever has none under way and has waited longest since its last one ended.
_CLAIM = text("""
    UPDATE ingest.imports i
    SET claimed_by = :me, claimed_until = now() + make_interval(secs => :lease)
    FROM (
        SELECT w.tenant_id, w.import_id FROM ingest.imports w
        JOIN (
            SELECT DISTINCT ON (tenant_id) tenant_id, import_id FROM ingest.imports
            WHERE state = 'running' AND (claimed_until IS NULL OR claimed_until < now())
            ORDER BY tenant_id, started_at, import_id) oldest USING (tenant_id, import_id)
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE state = 'running' AND claimed_until >= now()) AS claimed,
                max(finished_at) AS finished_at
            FROM ingest.imports o WHERE o.tenant_id = w.tenant_id) served
        WHERE w.state = 'running' AND (w.claimed_until IS NULL OR w.claimed_until < now())
        ORDER BY served.claimed, served.finished_at NULLS FIRST, w.started_at, w.import_id
        FOR UPDATE OF w SKIP LOCKED LIMIT 1) next
    WHERE i.tenant_id = next.tenant_id AND i.import_id = next.import_id
    RETURNING i.*
""")
_CHECKPOINT = text("""
    UPDATE ingest.imports
    SET rows = rows + :rows, accepted = accepted + :accepted, duplicates = duplicates + :duplicates,
        rejected = rejected + :rejected, skipped = skipped + :skipped,
        sample = coalesce(sample, CAST(:sample AS json)),
        claimed_until = now() + make_interval(secs => :lease)
    WHERE tenant_id = :tenant_id AND import_id = :import_id AND state = 'running'
        AND claimed_by = :me AND rows = :done
""")
_EXTEND = text("""
    UPDATE ingest.imports SET claimed_until = now() + make_interval(secs => :lease)
    WHERE tenant_id = :tenant_id AND import_id = :import_id AND state = 'running'
        AND claimed_by = :me AND rows = :done
""")
_FINISH = text("""
    UPDATE ingest.imports
    SET state = :state, detail = :detail, finished_at = :at, claimed_by = NULL,
        claimed_until = NULL
    WHERE tenant_id = :tenant_id AND import_id = :import_id AND state = 'running'
        AND claimed_by = :me
""")
_RELEASE = text("""
    UPDATE ingest.imports SET claimed_by = NULL, claimed_until = NULL
    WHERE tenant_id = :tenant_id AND import_id = :import_id AND claimed_by = :me
""")
_ERRORS = text("""
    INSERT INTO ingest.import_errors (tenant_id, import_id, row, code, detail, raw)
    SELECT :tenant_id, CAST(:import_id AS uuid), r.row, r.code, r.detail, r.raw
    FROM unnest(CAST(:rows AS bigint[]), CAST(:codes AS text[]), CAST(:details AS text[]),
        CAST(:raws AS text[])) AS r (row, code, detail, raw)
""")
_MAPPING = text("""
    SELECT definition FROM ingest.mapping_versions
    WHERE tenant_id = :tenant_id AND mapping_id = :mapping_id AND version = :version
""")
_DRY_KNOWN = text("""
    SELECT k.source, k.event_id, d.body_hash
    FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS k (source, event_id)
    CROSS JOIN LATERAL (
        SELECT body_hash FROM ingest.import_keys d
        WHERE d.tenant_id = :tenant_id AND d.import_id = :import_id
            AND d.source = k.source AND d.event_id = k.event_id
        LIMIT 1) d
""")
_DRY_WRITE = text("""
    INSERT INTO ingest.import_keys (tenant_id, import_id, source, event_id, body_hash)
    SELECT :tenant_id, CAST(:import_id AS uuid), r.source, r.event_id, r.body_hash
    FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]), CAST(:hashes AS bytea[]))
        AS r (source, event_id, body_hash)
    ON CONFLICT DO NOTHING
""")
_DRY_FORGET = text("""
    DELETE FROM ingest.import_keys WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ingest.import_keys
        WHERE tenant_id = :tenant_id AND import_id = :import_id
            AND NOT EXISTS (
                SELECT FROM ingest.imports i WHERE i.tenant_id = :tenant_id
                    AND i.import_id = :import_id AND i.state = 'running')
        LIMIT 20000))
""")
_RUNNING = text("SELECT count(*) FROM ingest.imports WHERE state = 'running'")
_PATHS = text("SELECT path FROM ingest.imports WHERE state = 'running'")


class SqlClaims:
    """`Claims` for one worker; `database` is a pool of the worker role.

    Leases are measured by the database's clock, which all workers share.
    """

    def __init__(self, database: Database, clock: Clock, me: str, lease: float) -> None:
        self._database, self._clock, self._me, self._lease = database, clock, me, lease

    async def claim(self) -> Claim | None:
        async with worker_transaction(self._database) as tx:
            result = await tx.execute(_CLAIM, {"me": self._me, "lease": self._lease})
            row = result.mappings().one_or_none()
        return None if row is None else _claim(row)

    async def known(self, claim: Claim, keys: Sequence[EventKey]) -> dict[EventKey, bytes]:
        async with worker_transaction(self._database) as tx:
            hashes = dict(await acceptance.known(tx, keys))
            if claim.job.dry_run and keys:
                hashes = await _dry_known(tx, claim, keys) | hashes
        return hashes

    async def commit(self, claim: Claim, result: ChunkResult) -> Claim:
        async with worker_transaction(self._database) as tx:
            await self._checkpoint(tx, claim, result)
            await acceptance.write(tx, result.appended)
            await acceptance.keep_conflicts(tx, result.conflicts, claim.job.started_at)
            await _dry_write(tx, claim, result.dry)
            await _write_errors(tx, claim, result.errors)
        return Claim(claim.job, claim.counts.plus(result.counts))

    async def mapping(self, claim: Claim) -> Mapping[str, Any]:
        mapping_id, version = claim.job.mapping or ("", 0)
        values = {"tenant_id": claim.job.tenant_id, "mapping_id": mapping_id, "version": version}
        async with worker_transaction(self._database) as tx:
            definition = await tx.scalar(_MAPPING, values)
        if definition is None:
            raise UnusableFile(f"the mapping {mapping_id} has no version {version}")
        return dict(orjson.loads(definition))

    async def extend(self, claim: Claim) -> None:
        values = self._of(claim) | {"done": claim.counts.rows, "lease": self._lease}
        async with worker_transaction(self._database) as tx:
            extended: CursorResult[Any] = await tx.execute(_EXTEND, values)
            if extended.rowcount != 1:
                raise ClaimLost(str(claim.job.import_id))

    async def finish(self, claim: Claim, failure: str | None) -> bool:
        state = "done" if failure is None else "failed"
        detail = None if failure is None else failure.replace("\x00", "")[:2000]
        values = self._of(claim) | {"state": state, "detail": detail, "at": self._clock.now()}
        async with worker_transaction(self._database) as tx:
            ended: CursorResult[Any] = await tx.execute(_FINISH, values)
        while claim.job.dry_run and await self._forget(claim):
            pass
        return ended.rowcount == 1

    async def release(self, claim: Claim) -> None:
        async with worker_transaction(self._database) as tx:
            await tx.execute(_RELEASE, self._of(claim))

    async def running_paths(self) -> set[str]:
        async with worker_transaction(self._database) as tx:
            return set((await tx.execute(_PATHS)).scalars())

    async def running(self) -> int:
        """How many imports have not ended, of all tenants."""
        async with worker_transaction(self._database) as tx:
            return int(await tx.scalar(_RUNNING) or 0)

    async def _checkpoint(self, tx: AsyncConnection, claim: Claim, result: ChunkResult) -> None:
        values = (
            self._of(claim) | _columns(result.counts) | {"sample": _shown_sample(result.sample)}
        )
        values |= {"done": claim.counts.rows, "lease": self._lease}
        updated: CursorResult[Any] = await tx.execute(_CHECKPOINT, values)
        if updated.rowcount != 1:
            raise ClaimLost(str(claim.job.import_id))

    async def _forget(self, claim: Claim) -> bool:
        async with worker_transaction(self._database) as tx:
            deleted: CursorResult[Any] = await tx.execute(_DRY_FORGET, _key_of(claim))
        return deleted.rowcount > 0

    def _of(self, claim: Claim) -> dict[str, Any]:
        return _key_of(claim) | {"me": self._me}


async def create(tx: AsyncConnection, job: NewImport) -> None:
    """Make an import known to the workers; its body is on disk already."""
    await tx.execute(
        _CREATE,
        {
            "tenant_id": job.tenant_id,
            "import_id": job.import_id,
            "origin": job.origin,
            "recorded": job.recorded,
            "dry_run": job.dry_run,
            "encoding": job.encoding,
            "path": job.path,
            "size": job.size,
            "actor": job.actor,
            "started_at": job.started_at,
            "media": job.media,
            "mapping_id": job.mapping[0] if job.mapping else None,
            "mapping_version": job.mapping[1] if job.mapping else None,
        },
    )


async def _dry_known(
    tx: AsyncConnection, claim: Claim, keys: Sequence[EventKey]
) -> dict[EventKey, bytes]:
    values = _key_of(claim) | {
        "sources": [key.source for key in keys],
        "ids": [key.event_id for key in keys],
    }
    rows = await tx.execute(_DRY_KNOWN, values)
    tenant = claim.job.tenant_id
    return {EventKey(tenant, r.source, r.event_id): bytes(r.body_hash) for r in rows}


async def _dry_write(tx: AsyncConnection, claim: Claim, dry: Sequence[Candidate]) -> None:
    if not dry:
        return
    values = _key_of(claim) | {
        "sources": [candidate.envelope.source for candidate in dry],
        "ids": [candidate.envelope.id for candidate in dry],
        "hashes": [candidate.body_hash for candidate in dry],
    }
    await tx.execute(_DRY_WRITE, values)


async def _write_errors(tx: AsyncConnection, claim: Claim, errors: Sequence[RowError]) -> None:
    """One for each rejected row, whatever their number: a chunk bounds what is sent at a time."""
    if not errors:
        return
    values = {
        "rows": [error.row for error in errors],
        "codes": [error.code for error in errors],
        "details": [error.detail[:2000] for error in errors],
        "raws": [error.raw for error in errors],
    }
    await tx.execute(_ERRORS, _key_of(claim) | values)


def _shown_sample(sample: Sequence[Candidate]) -> str | None:
    """Events as `POST /v1/events` takes them."""
    return orjson.dumps([_event(one.envelope) for one in sample]).decode() if sample else None


def _event(envelope: Envelope) -> dict[str, Any]:
    given = envelope.time_quality == "given"
    return {
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "time": envelope.occurred_at if given else None,
        "sequence": None if envelope.sequence is None else str(envelope.sequence),
        "data": orjson.Fragment(envelope.data),
    }


def _columns(counts: Counts) -> dict[str, int]:
    return {
        "rows": counts.rows,
        "accepted": counts.accepted,
        "duplicates": counts.duplicates,
        "rejected": counts.rejected,
        "skipped": counts.skipped,
    }


def _key_of(claim: Claim) -> dict[str, Any]:
    return {"tenant_id": claim.job.tenant_id, "import_id": claim.job.import_id}


def _claim(row: RowMapping) -> Claim:
    job = NewImport(
        tenant_id=row["tenant_id"],
        import_id=UUID(str(row["import_id"])),
        origin=row["origin"],
        recorded=row["recorded"],
        dry_run=row["dry_run"],
        encoding=row["encoding"],
        path=row["path"],
        size=row["bytes"],
        actor=row["actor"],
        started_at=row["started_at"],
        media=row["media"],
        mapping=(row["mapping_id"], row["mapping_version"]) if row["mapping_id"] else None,
    )
    counts = Counts(*(row[name] for name in _COUNTS))
    return Claim(job, counts)


_COUNTS = ("rows", "accepted", "duplicates", "rejected", "skipped")
