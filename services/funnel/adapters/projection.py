"""What `GET /v1/projection` is computed from; each read belongs to a tenant's transaction."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.database import driver
from services.funnel.app.caught_up import Accepted, Projected
from services.funnel.app.watermark import Folded

_ACCEPTED = """SELECT p.oldest, p.said_at, i.running, i.oldest
    FROM (SELECT min(oldest_unappended) AS oldest, min(updated_at) AS said_at
        FROM ingest_api.acceptance_all_v1) p,
        (SELECT count(*)::int AS running, min(started_at) AS oldest FROM ingest_api.imports_v1
        WHERE tenant_id = $1 AND state = 'running' AND NOT dry_run) i"""
_FOLDED = """SELECT partition, next_offset, log_time FROM funnel.positions
    WHERE reader_group = $1 AND topic = $2 AND topic_id = $3"""
_HELD = """SELECT
    (SELECT count(*)::int FROM funnel.refold_queue WHERE tenant_id = $1)
        + (SELECT count(*)::int FROM funnel.deals d
            JOIN funnel.generations g ON g.tenant_id = d.tenant_id AND g.current = d.generation
            JOIN alerts_api.clock_v1 c ON c.tenant_id = d.tenant_id
            WHERE d.tenant_id = $1 AND d.wake_at <= c.now),
    COALESCE((SELECT current FROM funnel.generations WHERE tenant_id = $1), 1),
    (SELECT watermark FROM funnel.watermarks WHERE name = 'deals')"""


async def now(tx: AsyncConnection) -> datetime:
    """The database's clock."""
    found: datetime = await (await driver(tx)).fetchval("SELECT clock_timestamp()")
    return found


async def accepted(tx: AsyncConnection, tenant_id: str) -> Accepted:
    conn: Any = await driver(tx)
    return Accepted(*await conn.fetchrow(_ACCEPTED, tenant_id))


async def projected(
    tx: AsyncConnection, tenant_id: str, group: str, topic: str, topic_id: str
) -> Projected:
    """Positions first: a record folded after them only makes the queue longer, never unseen."""
    conn: Any = await driver(tx)
    rows = await conn.fetch(_FOLDED, group, topic, topic_id)
    folded = {row[0]: Folded(row[1], row[2]) for row in rows}
    return Projected(folded, *await conn.fetchrow(_HELD, tenant_id))
