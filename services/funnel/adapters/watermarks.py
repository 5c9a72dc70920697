"""What the watermark is computed from, and where it is kept."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from libs.common.db.outbox import OutboxRow
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db import outbox
from libs.common.db.database import driver
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
            "SELECT queued_at FROM funnel.refold_queue ORDER BY ticket LIMIT 1"
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
        await (await self._conn()).execute(
            """INSERT INTO funnel.watermarks (name, watermark, updated_at)
            VALUES ('deals', $1, now())
            ON CONFLICT (name) DO UPDATE SET watermark = EXCLUDED.watermark, updated_at = now()
            WHERE funnel.watermarks.watermark < EXCLUDED.watermark""",
            watermark,
        )
        await outbox.put(self._tx, "funnel", rows)

    async def _conn(self) -> Any:
        return await driver(self._tx)
