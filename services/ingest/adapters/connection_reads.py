"""What is told of a connection: its counts, its silence, records that have to be read anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.adapters.silence import LONGEST_PAUSE, QUIET, SILENT

_COUNTS = text(f"""
    SELECT c.connection_id, c.deliveries, c.accepted, c.duplicates, c.rejected, c.refused,
        c.last_delivery_at, c.last_event_at, {QUIET} AS quiet_hours,
        {LONGEST_PAUSE} AS longest_pause_hours, coalesce({SILENT}, false) AS silent,
        coalesce((SELECT k.missing
            FROM ingest.connection_counters k JOIN ingest.connections n
            USING (tenant_id, connection_id)
            WHERE k.tenant_id = c.tenant_id AND k.connection_id = c.connection_id
                AND n.definition ->> 'counter' = k.pointer), 0) AS missing
    FROM ingest.connection_counts c
    WHERE c.tenant_id = :tenant_id AND c.connection_id = ANY (CAST(:ids AS text[]))
""")  # noqa: S608  constants only
_WAITING = text("""
    SELECT count(*) FROM ingest.refreshes
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id
""")
_PAGE = text("""
    SELECT entity, record_id, reason, first_at, last_at, times AS count FROM ingest.refreshes
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id
        AND (entity, record_id) > (:entity, :record_id)
    ORDER BY entity, record_id LIMIT :limit
""")
_DONE = text("""
    DELETE FROM ingest.refreshes r
    USING unnest(CAST(:entities AS text[]), CAST(:records AS text[])) AS d (entity, record_id)
    WHERE r.tenant_id = :tenant_id AND r.connection_id = :connection_id
        AND r.entity = d.entity AND r.record_id = d.record_id AND r.last_at <= :read_at
""")


@dataclass(frozen=True, slots=True)
class Position:
    """The last record of a page; `""` begins."""

    entity: str = ""
    record_id: str = ""


async def counts(
    tx: AsyncConnection, tenant_id: str, ids: Sequence[str], now: datetime
) -> Mapping[str, RowMapping]:
    """By connection; those that nothing came from are left out."""
    values = {"tenant_id": tenant_id, "ids": list(ids), "now": now}
    rows = (await tx.execute(_COUNTS, values)).mappings()
    return {row["connection_id"]: row for row in rows}


async def waiting(tx: AsyncConnection, tenant_id: str, connection_id: str) -> int:
    """How many records have to be read anew."""
    values = {"tenant_id": tenant_id, "connection_id": connection_id}
    return int((await tx.execute(_WAITING, values)).scalar_one())


async def refreshes(
    tx: AsyncConnection, tenant_id: str, connection_id: str, after: Position, limit: int
) -> Sequence[dict[str, Any]]:
    """Records that have to be read anew, by entity and id."""
    values = {
        "tenant_id": tenant_id, "connection_id": connection_id, "entity": after.entity,
        "record_id": after.record_id, "limit": limit,
    }  # fmt: skip
    return [dict(row) for row in (await tx.execute(_PAGE, values)).mappings()]


async def done(
    tx: AsyncConnection,
    tenant_id: str,
    connection_id: str,
    records: Sequence[Position],
    read_at: datetime,
) -> int:
    """Forget records that were read; what has changed since `read_at` stays."""
    values = {
        "tenant_id": tenant_id, "connection_id": connection_id, "read_at": read_at,
        "entities": [record.entity for record in records],
        "records": [record.record_id for record in records],
    }  # fmt: skip
    return int((await tx.execute(_DONE, values)).rowcount)
