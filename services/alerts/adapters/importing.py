"""Imports of a tenant that may still bring something: they run, or facts are not complete up to
their end."""

from typing import Any

UNDER_WAY = """i.tenant_id = {tenant} AND NOT i.dry_run AND (i.state = 'running' OR i.finished_at
        >= COALESCE((SELECT min(watermark) FROM alerts.watermarks), '-infinity'))"""
_ANY = f"""SELECT EXISTS (SELECT FROM ingest_api.imports_all_v1 i
    WHERE {UNDER_WAY.format(tenant="$1")})"""  # noqa: S608  # constants of this module


async def under_way(conn: Any, tenant_id: str) -> bool:
    """Whether what a tenant's deals violate has to wait for an import's end."""
    found: bool = await conn.fetchval(_ANY, tenant_id)
    return found
