"""How many of a tenant's imports have ended and are folded: what makes clients read anew."""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import text

from libs.common.clock import Clock
from libs.common.db.database import Database

FRESH: Final = 5.0
"""Seconds for which all streams of a tenant share one look."""
_ENDED = text(
    """SELECT count(*) FROM ingest_api.imports_v1
    WHERE NOT dry_run AND finished_at <= (SELECT watermark FROM funnel_api.watermark_v1)"""
)
"""What was accepted before the watermark has been published: an import whose end it has passed has
no record left to come."""


@dataclass(frozen=True, slots=True)
class EndedImports:
    """Implements `ImportsEnded` by one cheap query of the tenant's own rows."""

    database: Database
    clock: Clock
    _known: dict[str, tuple[float, int]] = field(default_factory=dict)

    async def __call__(self, tenant_id: str) -> int:
        now = self.clock.monotonic()
        looked_at, count = self._known.get(tenant_id, (-FRESH, 0))
        return count if now - looked_at < FRESH else await self._counted(tenant_id, now)

    async def _counted(self, tenant_id: str, now: float) -> int:
        async with self.database.for_tenant(tenant_id) as tx:
            count: int = (await tx.execute(_ENDED)).scalar_one()
        self._known[tenant_id] = now, count
        return count
