"""Rejected rows of imports that ended long ago, in SQL."""

from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, text

from libs.common.db.database import Database

MOST = 5_000
"""Of a transaction: each may hold a few KiB."""
# Imports stay, so each look asks of all that ended before whether it has rows left: by one probe.
_FORGET = text("""
    DELETE FROM ingest.import_errors WHERE ctid = ANY (ARRAY(
        SELECT e.ctid FROM ingest.imports i
        CROSS JOIN LATERAL (
            SELECT ctid FROM ingest.import_errors
            WHERE tenant_id = i.tenant_id AND import_id = i.import_id
            LIMIT :most) e
        WHERE i.finished_at < :before AND i.rejected > 0
        LIMIT :most))
""")


async def forget(database: Database, before: datetime, most: int = MOST) -> bool:
    """Throw those of imports that ended earlier away, as a worker; whether there may be more."""
    async with database.across_tenants() as tx:
        gone: CursorResult[Any] = await tx.execute(_FORGET, {"before": before, "most": most})
    return gone.rowcount == most
