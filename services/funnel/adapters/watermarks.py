"""What the watermark is computed from, and where it is kept."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db import outbox
from libs.common.db.database import driver
from libs.common.db.outbox import OutboxRow
from services.funnel.app.watermark import Folded, Process


class PostgresWatermarks:
    """Implements `services.funnel.app.watermark.WatermarkStore` for one transaction."""

    def __init__(self, tx: AsyncConnection, group: str) -> None:
        self._tx, self._group = tx, group

    async def folded(self, topic: str, topic_id: str) -> Mapping[int, Folded]:
        rows = await (await self._conn()).fetch(
            """SELECT partition, next_offset, log_time FROM funnel.positions
            WHERE reader_group = $1 AND topic = $2 AND topic_id = $3""",
            self._group,
            topic,
            topic_id,
        )
        return {row[0]: Folded(row[1], row[2]) for row in rows}

    async def processes(self) -> Sequence[Process]:
        rows = await (await self._conn()).fetch(
            "SELECT oldest_unappended, updated_at FROM ingest_api.acceptance_all_v1"
        )
        return [Process(*row) for row in rows]

    async def oldest_refold(self) -> datetime | None:
        found: datetime | None = await (await self._conn()).fetchval(
            "SELECT min(recorded_at) FROM funnel.refold_queue WHERE recorded_at IS NOT NULL"
        )
        return found

    async def oldest_due(self, now: datetime) -> datetime | None:
        found: datetime | None = await (await self._conn()).fetchval(
            """SELECT d.wake_at FROM funnel.deals d
            JOIN funnel.generations g ON g.tenant_id = d.tenant_id AND g.current = d.generation
            WHERE d.wake_at <= $1 AND d.tenant_id NOT IN (
                SELECT tenant_id FROM ingest_api.tenants_all_v1 WHERE sandbox)
            ORDER BY d.wake_at LIMIT 1""",
            now,
        )
        return found

    async def watermark(self) -> datetime | None:
        found: datetime | None = await (await self._conn()).fetchval(
            "SELECT watermark FROM funnel.watermarks WHERE name = 'deals'"
        )
        return found

    async def newest_pending(self) -> int | None:
        return await outbox.newest_pending(self._tx, "funnel")

    async def pending_up_to(self, outbox_id: int) -> bool:
        return await outbox.pending_up_to(self._tx, "funnel", outbox_id)

    async def tell(self, watermark: datetime, rows: Sequence[OutboxRow]) -> None:
        told = await (await self._conn()).fetchval(
            """INSERT INTO funnel.watermarks (name, watermark, updated_at)
            VALUES ('deals', $1, now())
            ON CONFLICT (name) DO UPDATE SET watermark = EXCLUDED.watermark, updated_at = now()
            WHERE funnel.watermarks.watermark < EXCLUDED.watermark RETURNING 1""",
            watermark,
        )
        if told:
            await outbox.put(self._tx, "funnel", rows)

    async def _conn(self) -> Any:
        return await driver(self._tx)
