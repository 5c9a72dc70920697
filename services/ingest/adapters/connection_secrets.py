"""Since when each secret of a connection is live, and when it proved a delivery last."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.domain.connections import StoredConnection, mark

_ADD = text("""
    INSERT INTO ingest.connection_secrets (tenant_id, connection_id, mark, added_at)
    VALUES (:tenant_id, :connection_id, :mark, :added_at)
    ON CONFLICT DO NOTHING
""")
_DROP = text("""
    DELETE FROM ingest.connection_secrets
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id
        AND mark <> ALL (CAST(:marks AS text[]))
""")
_READ = text("""
    SELECT mark, added_at, last_matched_at FROM ingest.connection_secrets
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id
""")
_MATCHED = text("""
    INSERT INTO ingest.connection_secrets AS s (tenant_id, connection_id, mark, added_at,
        last_matched_at)
    SELECT c.tenant_id, c.connection_id, :mark, c.sealed_at, :at FROM ingest.connections c
    WHERE c.tenant_id = :tenant_id AND c.connection_id = :connection_id
        AND EXISTS (SELECT FROM unnest(c.sealed) one WHERE encode(sha256(one), 'hex') = :mark)
    ON CONFLICT (tenant_id, connection_id, mark) DO UPDATE
    SET last_matched_at = greatest(s.last_matched_at, excluded.last_matched_at)
""")


async def follow(tx: AsyncConnection, held: StoredConnection | None, new: StoredConnection) -> None:
    """Forget secrets that are gone and begin with those that came. One that stays keeps its time;
    of connections older than this table it is that of the last change."""
    key = {"tenant_id": new.tenant_id, "connection_id": new.connection_id}
    marks = [mark(one) for one in new.sealed]
    await tx.execute(_DROP, {**key, "marks": marks})
    since = {mark(one): held.sealed_at for one in held.sealed} if held else {}
    rows = [{**key, "mark": one, "added_at": since.get(one, new.sealed_at)} for one in marks]
    if rows:
        await tx.execute(_ADD, rows)


async def of(
    tx: AsyncConnection, connection: StoredConnection
) -> Sequence[tuple[datetime, datetime | None]]:
    """Of each secret in its order: live since when, and when it proved a delivery last."""
    key = {"tenant_id": connection.tenant_id, "connection_id": connection.connection_id}
    found = {row.mark: row for row in await tx.execute(_READ, key)}
    told = [found.get(mark(one)) for one in connection.sealed]
    return [(r.added_at, r.last_matched_at) if r else (connection.sealed_at, None) for r in told]


async def matched(tx: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """`rows` are (tenant_id, connection_id, mark, at), in key order. A secret that has been
    removed since is not brought back."""
    await tx.execute(_MATCHED, rows)
