"""The dedup index and the conflicts beside it, in SQL.

Runs as the worker role, since one statement serves requests of several tenants: every statement
carries the tenant of each key, which comes from the credential.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.contracts.envelope import to_headers
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.db.database import Database
from libs.common.ids import uuid5
from services.ingest.adapters.transactions import worker_transaction
from services.ingest.app.ports import Appended
from services.ingest.domain.conflicts import DETAIL
from services.ingest.domain.model import CONFLICT, Candidate, EventKey

# LATERAL with LIMIT pins one index probe per key, whatever the statistics of a young table say.
_KNOWN = text("""
    SELECT k.tenant_id, k.source, k.event_id, a.body_hash
    FROM unnest(CAST(:tenants AS text[]), CAST(:sources AS text[]), CAST(:ids AS text[]))
        AS k (tenant_id, source, event_id)
    CROSS JOIN LATERAL (
        SELECT body_hash FROM ingest.acceptance a
        WHERE a.tenant_id = k.tenant_id AND a.source = k.source AND a.event_id = k.event_id
        LIMIT 1) a
""")
_WRITE = text("""
    INSERT INTO ingest.acceptance (tenant_id, source, event_id, body_hash, type, recorded_at,
        topic, partition, "offset")
    SELECT r.tenant_id, r.source, r.event_id, r.body_hash, r.type, r.recorded_at, :topic,
        r.partition, r.position
    FROM unnest(CAST(:tenants AS text[]), CAST(:sources AS text[]), CAST(:ids AS text[]),
        CAST(:hashes AS bytea[]), CAST(:types AS text[]), CAST(:recorded AS timestamptz[]),
        CAST(:partitions AS int[]), CAST(:offsets AS bigint[]))
        AS r (tenant_id, source, event_id, body_hash, type, recorded_at, partition, position)
    ON CONFLICT (tenant_id, source, event_id) DO UPDATE
    SET partition = excluded.partition, "offset" = excluded."offset"
    WHERE acceptance."offset" IS NULL AND acceptance.body_hash = excluded.body_hash
""")
_KEEP = text("""
    INSERT INTO ingest.dead_letters (tenant_id, dead_letter_id, source, event_id, code, detail,
        header_names, header_values, body, received_at)
    VALUES (:tenant_id, :dead_letter_id, :source, :event_id, :code, :detail,
        CAST(:names AS text[]), CAST(:contents AS bytea[]), :body, :received_at)
    ON CONFLICT DO NOTHING
""")
REFUSED = "refused_by_log"


class SqlIndex:
    """`Index` over PostgreSQL; `database` is a pool of the worker role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, keys: Sequence[EventKey]) -> Mapping[EventKey, bytes]:
        async with worker_transaction(self._database) as tx:
            return await known(tx, keys)

    async def write(self, appended: Sequence[Appended]) -> None:
        async with worker_transaction(self._database) as tx:
            await write(tx, appended)

    async def keep_refused(self, refused: Candidate, at: datetime, detail: str) -> None:
        async with worker_transaction(self._database) as tx:
            await tx.execute(_KEEP, _dead_letter(refused, at, REFUSED, detail))


async def known(tx: AsyncConnection, keys: Sequence[EventKey]) -> Mapping[EventKey, bytes]:
    """Body hashes of the keys that were accepted before."""
    if not keys:
        return {}
    rows = await tx.execute(_KNOWN, _key_columns(keys))
    return {EventKey(r.tenant_id, r.source, r.event_id): bytes(r.body_hash) for r in rows}


async def write(tx: AsyncConnection, appended: Sequence[Appended]) -> None:
    """Remember what was accepted; in key order, so that two writers cannot lock crosswise.

    An event that comes twice is written once, as it came first: one statement takes no key twice.
    """
    if not appended:
        return
    first = {entry.candidate.key: entry for entry in reversed(appended)}
    ordered = [first[key] for key in sorted(first)]
    envelopes = [entry.candidate.envelope for entry in ordered]
    columns = _key_columns([entry.candidate.key for entry in ordered]) | {
        "hashes": [entry.candidate.body_hash for entry in ordered],
        "types": [envelope.type for envelope in envelopes],
        "recorded": [envelope.recorded_at for envelope in envelopes],
        "partitions": [entry.partition for entry in ordered],
        "offsets": [entry.offset for entry in ordered],
        "topic": CRM_EVENTS,
    }
    await tx.execute(_WRITE, columns)


async def keep_conflicts(tx: AsyncConnection, conflicts: Sequence[Candidate], at: datetime) -> None:
    """Keep colliding events whole; the id follows from the content, so repeats are kept once."""
    if conflicts:
        letters = [_dead_letter(candidate, at, CONFLICT, DETAIL) for candidate in conflicts]
        await tx.execute(_KEEP, letters)


def _key_columns(keys: Sequence[EventKey]) -> dict[str, Any]:
    tenants, sources, ids = (list(column) for column in zip(*keys, strict=True))
    return {"tenants": tenants, "sources": sources, "ids": ids}


def _dead_letter(candidate: Candidate, at: datetime, code: str, detail: str) -> dict[str, Any]:
    envelope, headers = candidate.envelope, to_headers(candidate.envelope)
    return {
        "tenant_id": envelope.tenant_id,
        "dead_letter_id": uuid5(code, *candidate.key, candidate.body_hash.hex()),
        "source": envelope.source,
        "event_id": envelope.id,
        "code": code,
        "detail": detail,
        "names": [name for name, _ in headers],
        "contents": [content for _, content in headers],
        "body": envelope.data,
        "received_at": at,
    }
