"""`alerts.clock`: the clocks of sandboxes, and what time it is for a tenant."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.alerts.app.work import EPOCH

_NOW = """SELECT t.sandbox, CASE WHEN t.sandbox THEN COALESCE(c.now, $2) ELSE clock_timestamp() END
    FROM ingest_api.tenants_v1 t LEFT JOIN alerts.clock c ON c.tenant_id = t.tenant_id
    WHERE t.tenant_id = $1"""
_MOVE = """INSERT INTO alerts.clock AS c (tenant_id, now, moved_at) VALUES ($1, $2, now())
    ON CONFLICT (tenant_id) DO UPDATE SET now = EXCLUDED.now, moved_at = now()
    WHERE c.now <= EXCLUDED.now RETURNING c.now"""


@dataclass(frozen=True, slots=True)
class TenantTime:
    """A tenant's now; real tenants have the database's clock."""

    sandbox: bool
    now: datetime


async def tenant_time(conn: Any, tenant_id: str) -> TenantTime | None:
    """`None` for a credential that belongs to no tenant."""
    row = await conn.fetchrow(_NOW, tenant_id, EPOCH)
    return TenantTime(*row) if row else None


async def move(conn: Any, tenant_id: str, now: datetime) -> bool:
    """Move a sandbox's clock forward; `False` if it stands later already."""
    return await conn.fetchval(_MOVE, tenant_id, now) is not None
