"""`funnel.rebuilds` as those who ask for a rebuild see it.

A tenant's key reads and writes through row-level security. An operator's call runs as the worker
role, and its statements name the tenants.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.database import driver
from services.funnel.app.rebuild_requests import (
    Difference,
    RebuildReport,
    RebuildRunning,
    TenantRebuild,
)

SHOWN_DIFFERENCES = 100
_LOCK = """SELECT tenant_id FROM funnel.generations WHERE tenant_id = ANY($1)
    ORDER BY tenant_id FOR UPDATE"""
_MAKE_GENERATIONS = """INSERT INTO funnel.generations (tenant_id) SELECT unnest($1::text[])
    ON CONFLICT DO NOTHING"""
_RUNNING = """SELECT DISTINCT tenant_id FROM funnel.rebuilds
    WHERE tenant_id = ANY($1) AND finished_at IS NULL ORDER BY tenant_id"""
_INSERT = """INSERT INTO funnel.rebuilds
        (tenant_id, rebuild_id, generation, state, accept, started_at)
    SELECT g.tenant_id, $2, 1 + GREATEST(g.current, COALESCE(g.building, 0), COALESCE((
        SELECT max(r.generation) FROM funnel.rebuilds r WHERE r.tenant_id = g.tenant_id), 0)),
        'building', $3, $4
    FROM funnel.generations g WHERE g.tenant_id = ANY($1)"""
_PARTS = """SELECT tenant_id, generation, state, accept, total, done, differing,
        started_at, finished_at
    FROM funnel.rebuilds WHERE rebuild_id = $1 AND ($2::text IS NULL OR tenant_id = $2)
    ORDER BY tenant_id"""
_DIFFERENCES = """SELECT tenant_id, deal_id, before, after FROM funnel.rebuild_differences
    WHERE rebuild_id = $1 AND ($2::text IS NULL OR tenant_id = $2)
    ORDER BY tenant_id, deal_id LIMIT $3"""
_TENANTS = "SELECT tenant_id FROM ingest_api.tenants_all_v1 ORDER BY tenant_id"


async def every_tenant(tx: AsyncConnection) -> Sequence[str]:
    """All tenants; the worker role's transaction."""
    return [row[0] for row in await (await driver(tx)).fetch(_TENANTS)]


async def request(
    tx: AsyncConnection, tenants: Sequence[str], rebuild_id: UUID, accept: bool, at: datetime
) -> None:
    """Ask for a rebuild of these tenants; raises `RebuildRunning` if one of them has one."""
    conn: Any = await driver(tx)
    await conn.execute(_MAKE_GENERATIONS, tenants)
    await conn.fetch(_LOCK, tenants)
    if running := [row[0] for row in await conn.fetch(_RUNNING, tenants)]:
        raise RebuildRunning(running)
    await conn.execute(_INSERT, tenants, rebuild_id, accept, at)


async def report(
    tx: AsyncConnection, rebuild_id: UUID, tenant_id: str | None
) -> RebuildReport | None:
    """Where a rebuild stands, for one tenant or (`None`) for all of them."""
    conn: Any = await driver(tx)
    parts = [TenantRebuild(*row) for row in await conn.fetch(_PARTS, rebuild_id, tenant_id)]
    if not parts:
        return None
    rows = await conn.fetch(_DIFFERENCES, rebuild_id, tenant_id, SHOWN_DIFFERENCES)
    return RebuildReport(rebuild_id, parts, [Difference(*row) for row in rows])
