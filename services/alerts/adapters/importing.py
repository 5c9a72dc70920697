"""Imports of a tenant that may still bring something: they run, or facts are not complete up to
their end; and what they have brought of deals already."""

from collections.abc import Collection, Sequence
from typing import Any

from services.alerts.app.ports import Mark

UNDER_WAY = """i.tenant_id = {tenant} AND NOT i.dry_run AND (i.state = 'running' OR i.finished_at
        >= COALESCE((SELECT min(watermark) FROM alerts.watermarks), '-infinity'))"""
_ANY = f"""SELECT EXISTS (SELECT FROM ingest_api.imports_all_v1 i
    WHERE {UNDER_WAY.format(tenant="$1")})"""  # noqa: S608  # constants of this module

_SINCE = f"""SELECT min(i.started_at) FROM ingest_api.imports_all_v1 i
    WHERE {UNDER_WAY.format(tenant="$1")}"""  # noqa: S608  # constants of this module
_ARRIVED = """SELECT a.deal_id, max(e.recorded_at) FROM unnest($2::text[]) AS a(deal_id)
    CROSS JOIN LATERAL (
        SELECT a.deal_id AS member UNION SELECT o.deal_id FROM funnel_api.aliases_v1 x
            JOIN funnel_api.aliases_v1 o ON o.tenant_id = $1 AND o.group_id = x.group_id
            WHERE x.tenant_id = $1 AND x.deal_id = a.deal_id) m
    CROSS JOIN LATERAL (
        SELECT v.source, v.event_id, v.recorded_at FROM funnel_api.events_v1 v
        WHERE v.tenant_id = $1 AND v.subject_kind = 'deal' AND v.subject_id = m.member
            AND v.origin <> 'live' OFFSET 0) e
    JOIN LATERAL (
        SELECT s.folded_at FROM funnel_api.event_status_v1 s WHERE s.tenant_id = $1
            AND s.source = e.source AND s.event_id = e.event_id OFFSET 0) f ON true
    WHERE f.folded_at >= $3 OR e.recorded_at >= $3
    GROUP BY a.deal_id"""
"""Imports may record what they bring as of old; when it was folded tells, too."""


async def under_way(conn: Any, tenant_id: str) -> bool:
    """Whether what a tenant's deals violate has to wait for an import's end."""
    found: bool = await conn.fetchval(_ANY, tenant_id)
    return found


async def arrived(conn: Any, tenant_id: str, deals: Collection[str]) -> Sequence[Mark]:
    """Deals with events, theirs or a merged deal's, that an import under way has brought already;
    the transaction is bound to the tenant."""
    since = await conn.fetchval(_SINCE, tenant_id)
    if since is None:
        return []
    rows = await conn.fetch(_ARRIVED, tenant_id, list(deals), since)
    return [Mark(tenant_id, deal, True, known_at) for deal, known_at in rows]
