"""The tenants' side of a fold: currency, generations, pipelines; and their change counters."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.funnel.app.deal_question import TenantTime
from services.funnel.app.model import Catalogue, Tenant
from services.funnel.app.projector import SKEW
from services.funnel.domain.inputs import Pipelines, PipelineVersion


async def hold_tenants(conn: Any, tenant_ids: Collection[str]) -> dict[str, Tenant]:
    """Known tenants. The shared row lock makes a switch of generations, or a new pipeline
    version, wait for this transaction, and this transaction for them."""
    ids = sorted(tenant_ids)
    held = await _held(conn, ids)
    if len(held) < len(ids):
        await conn.execute(
            """INSERT INTO funnel.generations (tenant_id)
            SELECT t.tenant_id FROM ingest_api.tenants_all_v1 t
            WHERE t.tenant_id = ANY($1) ON CONFLICT DO NOTHING""",
            ids,
        )
        held = await _held(conn, ids)
    return held


async def _held(conn: Any, ids: Collection[str]) -> dict[str, Tenant]:
    rows = await conn.fetch(
        """SELECT g.tenant_id, t.currency, g.current, g.building,
            CASE WHEN t.sandbox THEN COALESCE(c.now, 'epoch') END
        FROM funnel.generations g JOIN ingest_api.tenants_all_v1 t USING (tenant_id)
        LEFT JOIN alerts_api.clock_all_v1 c USING (tenant_id)
        WHERE g.tenant_id = ANY($1) ORDER BY g.tenant_id FOR SHARE OF g""",
        ids,
    )
    return {row[0]: Tenant(*row) for row in rows}


async def catalogues(conn: Any, tenant_ids: Collection[str]) -> dict[str, Catalogue]:
    """All pipeline versions, and what stages are called today."""
    rows = await conn.fetch(
        """SELECT tenant_id, pipeline_id, published_at, stages FROM funnel.pipelines
        WHERE tenant_id = ANY($1) ORDER BY tenant_id, pipeline_id, version""",
        sorted(tenant_ids),
    )
    versions: dict[str, dict[str, list[PipelineVersion]]] = defaultdict(lambda: defaultdict(list))
    names: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    for tenant_id, pipeline_id, published_at, listed in rows:
        stages = orjson.loads(listed)
        classes = {stage["id"]: stage["class"] for stage in stages}
        versions[tenant_id][pipeline_id].append(PipelineVersion(published_at, classes))
        names[tenant_id].update({(pipeline_id, s["id"]): s["name"] for s in stages})
    return {t: Catalogue(Pipelines(versions[t]), names[t]) for t in tenant_ids}


async def count_changes(conn: Any, tenant_ids: Collection[str], writer: str) -> None:
    """One counter per tenant and writer, so that writers never wait for each other."""
    await conn.execute(
        """INSERT INTO funnel.changes (tenant_id, writer, counter)
        SELECT tenant_id, $2, 1 FROM unnest($1::text[]) AS t(tenant_id)
        ON CONFLICT (tenant_id, writer) DO UPDATE SET counter = funnel.changes.counter + 1""",
        sorted(tenant_ids),
        writer,
    )


_TIME = text(
    """SELECT t.timezone, CASE WHEN t.sandbox THEN COALESCE(c.now, 'epoch') END
    FROM ingest_api.tenants_v1 t LEFT JOIN alerts_api.clock_v1 c ON c.tenant_id = t.tenant_id"""
)


async def time_of(tx: AsyncConnection, real: datetime) -> TenantTime:
    """What time it is for the transaction's own tenant, given the real time."""
    zone, clock = (await tx.execute(_TIME)).one()
    return TenantTime(zone, clock, clock) if clock else TenantTime(zone, real, real + SKEW)


async def catalogue_of(conn: Any, tenant_id: str) -> tuple[str, Catalogue]:
    """Currency and pipelines of the transaction's own tenant, for readers."""
    currency = await conn.fetchval(
        "SELECT currency FROM ingest_api.tenants_v1 WHERE tenant_id = $1", tenant_id
    )
    return currency, (await catalogues(conn, [tenant_id]))[tenant_id]
