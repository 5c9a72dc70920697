"""Context: its history, who refers to it, and the refolds that its changes ask for."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from libs.common.db.bulk import FOREVER, insert, transposed
from services.funnel.adapters.refold_queue import cause_text
from services.funnel.app.model import Kept, RefKey, cause_of
from services.funnel.domain.context import ContextSpan
from services.funnel.domain.model import Known

_BUCKETS = 256
_HISTORY = insert("funnel.context_history", {
    "tenant_id": "text", "kind": "text", "id": "text", "n": "int", "valid_from": "timestamptz",
    "valid_to": "timestamptz", "known_from": "timestamptz", "known_to": "timestamptz",
    "data": "json",
})  # fmt: skip


async def lock_refs(conn: Any, shared: Collection[RefKey], exclusive: Collection[RefKey]) -> None:
    """Advisory locks on buckets of references, in one order; few, so the lock table never fills."""
    modes = {_bucket(ref): False for ref in shared} | {_bucket(ref): True for ref in exclusive}
    if modes:
        await conn.execute(
            """SELECT CASE WHEN mine THEN pg_advisory_xact_lock(bucket)
                ELSE pg_advisory_xact_lock_shared(bucket) END
            FROM unnest($1::bigint[], $2::boolean[]) AS k(bucket, mine)""",
            *transposed(sorted(modes.items()), 2),
        )


_SPACE = int.from_bytes(hashlib.sha256(b"headway.funnel.refs").digest()[:6], "big") << 8


def _bucket(ref: RefKey) -> int:
    return _SPACE + hashlib.sha256("\x1f".join(ref).encode()).digest()[0] % _BUCKETS


async def add_references(conn: Any, references: Collection[tuple[RefKey, str]]) -> None:
    if references:
        await conn.execute(
            """INSERT INTO funnel.deal_references (tenant_id, kind, id, deal_id)
            SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
            ON CONFLICT DO NOTHING""",
            *transposed(sorted((*ref, deal_id) for ref, deal_id in references), 4),
        )


async def write_context(
    conn: Any, histories: Mapping[RefKey, Sequence[Known[ContextSpan]]]
) -> None:
    """Replace the histories of these entities."""
    await conn.execute(
        """DELETE FROM funnel.context_history h
        USING unnest($1::text[], $2::text[], $3::text[]) AS k(tenant_id, kind, id)
        WHERE h.tenant_id = k.tenant_id AND h.kind = k.kind AND h.id = k.id""",
        *transposed(sorted(histories), 3),
    )
    rows = [_row(ref, known) for ref, history in histories.items() for known in history]
    await conn.execute(_HISTORY, *transposed(rows, 9))


def _row(ref: RefKey, known: Known[ContextSpan]) -> tuple[Any, ...]:
    span = known.row
    data = orjson.dumps(span.data).decode()
    times = (span.valid_from, span.valid_to or FOREVER, known.known_from)
    return (*ref, span.n, *times, known.known_to or FOREVER, data)


async def queue_refolds(conn: Any, causes: Sequence[tuple[RefKey, Kept]]) -> None:
    """Queue every deal that refers to what changed, with the event that changed it."""
    rows = [
        (*ref, cause_text(cause_of(kept)), kept.event.recorded_at if kept.live else None)
        for ref, kept in causes
    ]
    await conn.execute(
        """INSERT INTO funnel.refold_queue (tenant_id, deal_id, reason, cause, recorded_at)
        SELECT r.tenant_id, r.deal_id, 'context', k.cause::json, k.recorded_at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
            AS k(tenant_id, kind, id, cause, recorded_at)
        JOIN funnel.deal_references r USING (tenant_id, kind, id)
        ORDER BY r.tenant_id, r.deal_id""",
        *transposed(rows, 5),
    )
