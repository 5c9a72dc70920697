"""What the scheduler sees of the system besides the subjects: time, watermark, imports, clocks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.database import driver
from services.alerts.adapters import subjects, turns, waiting
from services.alerts.adapters.store import PostgresJudging, judging
from services.alerts.app.ports import Mark, SubjectKey
from services.alerts.app.work import EPOCH, Acceptance, Imports, Sandbox, Waiting

_BIND = text("SELECT set_config('app.tenant', :tenant, true)")
_WATERMARK = "SELECT min(watermark), count(*) FROM alerts.watermarks WHERE partition < $1"
_RAISE = """INSERT INTO alerts.watermarks AS w (partition, watermark) VALUES ($1, $2)
    ON CONFLICT (partition) DO UPDATE
    SET watermark = EXCLUDED.watermark, updated_at = now() WHERE w.watermark < EXCLUDED.watermark"""
_SANDBOXES = "SELECT tenant_id FROM ingest_api.tenants_all_v1 WHERE sandbox"
_BUSY = f"""SELECT t.tenant_id, COALESCE(c.now, $1) FROM ingest_api.tenants_all_v1 t
    LEFT JOIN alerts.clock c ON c.tenant_id = t.tenant_id
    WHERE t.sandbox AND (
        EXISTS (SELECT FROM alerts.subjects s
            WHERE s.tenant_id = t.tenant_id AND s.{subjects.WAITS})
        OR EXISTS (SELECT FROM alerts.sandbox_outbox o WHERE o.tenant_id = t.tenant_id)
        OR EXISTS (SELECT FROM alerts.timers d
            WHERE d.tenant_id = t.tenant_id AND d.due_at <= COALESCE(c.now, $1)))"""  # noqa: S608
_IMPORTS = """SELECT count(*) FILTER (WHERE state = 'running')::int, max(finished_at)
    FROM ingest_api.imports_all_v1 WHERE tenant_id = $1 AND NOT dry_run"""
_ACCEPTANCE = "SELECT min(oldest_unappended), min(updated_at) FROM ingest_api.acceptance_all_v1"
_FOLDED = """SELECT partition, next_offset FROM funnel_api.positions_v1
    WHERE reader_group = 'funnel' AND topic = $1 AND topic_id = $2"""
_CONSUMED = """SELECT partition, next_offset FROM alerts.positions
    WHERE reader_group = 'alerts' AND topic = $1 AND topic_id = $2"""
_FOLDING = "SELECT EXISTS (SELECT FROM funnel_api.refold_queue_v1 WHERE tenant_id = $1)"
_PUBLISHING = """SELECT EXISTS (SELECT FROM funnel_api.waiting_v1
    WHERE tenant_id = $1 AND (kind <> 'wake' OR due_at <= $2))"""


@dataclass(frozen=True, slots=True)
class PostgresWork:
    """Implements `Work` for one transaction of the worker."""

    tx: AsyncConnection

    async def _conn(self) -> Any:
        return await driver(self.tx)

    async def bind(self, tenant_id: str, sandbox: bool = False) -> PostgresJudging:
        """Bind the transaction to a tenant, for the walled views of others."""
        await self.tx.execute(_BIND, {"tenant": tenant_id})
        return judging(self.tx, sandbox)

    async def release(self, sandbox: Sandbox, marked_by: datetime) -> None:
        await turns.release(await self._conn(), sandbox.tenant_id, marked_by, sandbox.now)

    async def now(self) -> datetime:
        found: datetime = await (await self._conn()).fetchval("SELECT clock_timestamp()")
        return found

    async def watermark(self, partitions: int) -> datetime | None:
        mark, told = await (await self._conn()).fetchrow(_WATERMARK, partitions)
        return mark if told == partitions else None

    async def raise_watermark(self, partition: int, watermark: datetime) -> None:
        await (await self._conn()).execute(_RAISE, partition, watermark)

    async def mark(self, marks: Collection[Mark]) -> None:
        await subjects.mark(await self._conn(), marks)

    async def sandboxes(self) -> Sequence[str]:
        return [row[0] for row in await (await self._conn()).fetch(_SANDBOXES)]

    async def busy_sandboxes(self) -> Sequence[Sandbox]:
        return [Sandbox(*row) for row in await (await self._conn()).fetch(_BUSY, EPOCH)]

    async def pending(self, sandboxes: Collection[str], limit: int) -> Sequence[SubjectKey]:
        return await subjects.pending(await self._conn(), sandboxes, limit)

    async def due(
        self, sandboxes: Collection[str], until: datetime, limit: int
    ) -> Sequence[SubjectKey]:
        return await subjects.due(await self._conn(), sandboxes, until, limit)

    async def of_sandbox(self, sandbox: Sandbox, marked_by: datetime, limit: int) -> Sequence[str]:
        conn = await self._conn()
        return await subjects.of_tenant(conn, sandbox.tenant_id, marked_by, sandbox.now, limit)

    async def tenants_with_brought(self, sandboxes: Collection[str]) -> Sequence[str]:
        return await subjects.tenants_with_brought(await self._conn(), sandboxes)

    async def brought(self, tenant_id: str, limit: int) -> Mapping[UUID | None, Sequence[str]]:
        return await subjects.brought(await self._conn(), tenant_id, limit)

    async def imports(self, tenant_id: str) -> Imports:
        return Imports(*await (await self._conn()).fetchrow(_IMPORTS, tenant_id))

    async def acceptance(self) -> Acceptance:
        return Acceptance(*await (await self._conn()).fetchrow(_ACCEPTANCE))

    async def folded(self, topic: str, topic_id: str) -> Mapping[int, int]:
        return dict(await (await self._conn()).fetch(_FOLDED, topic, topic_id))

    async def consumed(self, topic: str, topic_id: str) -> Mapping[int, int]:
        return dict(await (await self._conn()).fetch(_CONSUMED, topic, topic_id))

    async def refolds(self, tenant_id: str) -> bool:
        found: bool = await (await self._conn()).fetchval(_FOLDING, tenant_id)
        return found

    async def unpublished(self, sandbox: Sandbox) -> bool:
        found: bool = await (await self._conn()).fetchval(
            _PUBLISHING, sandbox.tenant_id, sandbox.now
        )
        return found

    async def waits(self, sandbox: Sandbox) -> bool:
        return await subjects.waits(await self._conn(), sandbox.tenant_id, sandbox.now)

    async def oldest_timer(self, sandboxes: Collection[str]) -> datetime | None:
        return await subjects.oldest_timer(await self._conn(), sandboxes)

    async def waiting(self, sandboxes: Collection[str]) -> Waiting:
        return await waiting.waiting(await self._conn(), sandboxes)
