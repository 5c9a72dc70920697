"""What waits, counted for the gauges of a process."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.database import driver

_COUNT = """SELECT (SELECT count(*) FROM funnel.refold_queue),
    (SELECT count(*) FROM funnel.rebuilds WHERE finished_at IS NULL),
    (SELECT watermark FROM funnel.watermarks WHERE name = 'deals')"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Queued refolds, rebuilds that are not finished, and the last watermark told."""

    refolds: int
    rebuilds: int
    watermark: datetime | None


async def waiting(tx: AsyncConnection) -> Waiting:
    """Over all tenants; the worker role's transaction."""
    conn: Any = await driver(tx)
    return Waiting(*await conn.fetchrow(_COUNT))
