"""`funnel.refold_queue`: deals that have to be folded anew, each with its reason."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.database import driver
from libs.common.ids import uuid5
from services.funnel.app.model import Cause
from services.funnel.app.refold import Ticket
from services.funnel.app.work import Residue

_CLAIM = """SELECT ticket, tenant_id, deal_id, reason, cause FROM funnel.refold_queue
    ORDER BY ticket LIMIT $1 FOR UPDATE SKIP LOCKED"""
_QUEUE_PIPELINE = """INSERT INTO funnel.refold_queue (tenant_id, deal_id, reason, cause)
    SELECT $1, deal_id, 'pipeline', $3::json FROM (
        SELECT deal_id FROM funnel.deals WHERE tenant_id = $1 AND generation = $4
            AND pipeline_id = $2
        UNION SELECT deal_id FROM funnel.visits WHERE tenant_id = $1 AND generation = $4
            AND pipeline_id = $2
        UNION SELECT deal_id FROM funnel.deal_history WHERE tenant_id = $1 AND generation = $4
            AND pipeline_id = $2) d
    ORDER BY deal_id"""


_DUE = """SELECT d.tenant_id, d.deal_id FROM funnel.deals d
    JOIN funnel.generations g ON g.tenant_id = d.tenant_id AND g.current = d.generation
    WHERE d.wake_at <= $1 AND d.tenant_id NOT IN (
        SELECT tenant_id FROM ingest_api.tenants_all_v1 WHERE sandbox)
    ORDER BY d.wake_at LIMIT $2"""
_DUE_BY_CLOCKS = """SELECT d.tenant_id, d.deal_id
    FROM ingest_api.tenants_all_v1 t
    JOIN alerts_api.clock_all_v1 c ON c.tenant_id = t.tenant_id
    JOIN funnel.generations g ON g.tenant_id = t.tenant_id
    CROSS JOIN LATERAL (SELECT tenant_id, deal_id FROM funnel.deals d
        WHERE d.tenant_id = t.tenant_id AND d.generation = g.current AND d.wake_at <= c.now
        ORDER BY d.wake_at LIMIT $1) d
    WHERE t.sandbox LIMIT $1"""


QUEUE_SECONDS = 61
"""A pipeline may have had every deal of a tenant; publishing lets the server take 60 s for it."""


async def queue_pipeline_refold(tx: AsyncConnection, tenant_id: str, pipeline_id: str) -> int:
    """Queue every deal that was ever in a pipeline; call it after writing a new version.

    The lock on the tenant's generation row waits for batches that still fold with the version
    before, and makes later ones wait for this transaction. Returns how many deals are queued.
    """
    conn = await driver(tx)
    current = await conn.fetchval(
        "SELECT current FROM funnel.generations WHERE tenant_id = $1 FOR UPDATE", tenant_id
    )
    version = await conn.fetchrow(
        """SELECT version, published_at FROM funnel.pipelines
        WHERE tenant_id = $1 AND pipeline_id = $2 ORDER BY version DESC LIMIT 1""",
        tenant_id,
        pipeline_id,
    )
    if current is None or version is None:
        return 0
    cause = _published(tenant_id, pipeline_id, version[0], version[1])
    given = tenant_id, pipeline_id, cause_text(cause), current
    done = await conn.execute(_QUEUE_PIPELINE, *given, timeout=QUEUE_SECONDS)
    return int(done.rpartition(" ")[2])


def _published(tenant_id: str, pipeline_id: str, version: int, at: datetime) -> Cause:
    data = orjson.dumps({"pipeline_id": pipeline_id, "version": version})
    id_ = str(uuid5(tenant_id, "pipeline", pipeline_id, str(version)))
    return Cause(id_, "/headway/funnel", "pipeline.published", at, at, data)


def cause_text(cause: Cause) -> str:
    """A cause as the queue keeps it."""
    return orjson.dumps(
        {
            "id": cause.id,
            "source": cause.source,
            "type": cause.type,
            "occurred_at": cause.occurred_at,
            "recorded_at": cause.recorded_at,
            "data": cause.data.decode(),
            "origin": cause.origin,
            "correlation_id": cause.correlation_id,
        }
    ).decode()


def _cause(text: str) -> Cause:
    stored = orjson.loads(text)
    times = {name: datetime.fromisoformat(stored[name]) for name in ("occurred_at", "recorded_at")}
    return Cause(**stored | times | {"data": stored["data"].encode()})


async def claim(conn: Any, limit: int) -> list[Ticket]:
    """The oldest tickets that nobody else works on, locked until the transaction ends."""
    rows = await conn.fetch(_CLAIM, limit)
    return [
        Ticket(number, (tenant_id, deal_id), Residue(_cause(cause), _PAST[reason]))
        for number, tenant_id, deal_id, reason, cause in rows
    ]


_PAST: dict[str, Any] = {"context": "since", "pipeline": "whole", "rebuild": "whole"}


async def finish(conn: Any, tickets: Sequence[Ticket]) -> None:
    await conn.execute(
        """DELETE FROM funnel.refold_queue q
        USING unnest($1::text[], $2::text[], $3::bigint[]) AS k(tenant_id, deal_id, ticket)
        WHERE q.tenant_id = k.tenant_id AND q.deal_id = k.deal_id AND q.ticket = k.ticket""",
        [t.deal[0] for t in tickets],
        [t.deal[1] for t in tickets],
        [t.number for t in tickets],
    )


async def due(conn: Any, now: datetime, limit: int) -> Collection[tuple[str, str]]:
    """Deals with an event that lay ahead and has come due by their tenant's clock.

    They are locked later, as every writer does it: tenants first, then deals in key order. Whoever
    comes second finds nothing due any more.
    """
    real = await conn.fetch(_DUE, now, limit)
    clocks = await conn.fetch(_DUE_BY_CLOCKS, limit)
    return [(row[0], row[1]) for row in (*real, *clocks[: limit - len(real)])]
