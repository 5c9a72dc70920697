"""What the API reads: traces of events, exports, imports and their errors."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.db.database import Database
from services.ingest.domain.rows import RowError
from services.ingest.domain.status import Trace

_TRACES = text("""
    SELECT 'indexed' AS kind, source, partition, "offset", recorded_at,
        CAST(NULL AS timestamptz) AS folded_at, CAST(NULL AS text) AS code,
        CAST(NULL AS text) AS detail
    FROM ingest.acceptance
    WHERE tenant_id = :tenant_id AND event_id = :event_id
        AND (CAST(:source AS text) IS NULL OR source = :source)
    UNION ALL
    SELECT 'folded', source, partition, "offset", recorded_at, folded_at, NULL, NULL
    FROM funnel_api.event_status_v1
    WHERE tenant_id = :tenant_id AND event_id = :event_id
        AND (CAST(:source AS text) IS NULL OR source = :source)
    UNION ALL
    SELECT 'dead', coalesce(source, ''), NULL, NULL, NULL, NULL, code, detail
    FROM ingest.dead_letters
    WHERE tenant_id = :tenant_id AND event_id = :event_id
        AND (topic IS NULL OR topic = :crm_events)
        AND (state = 'open' OR (state = 'dismissed' AND code <> 'conflict'))
        AND (CAST(:source AS text) IS NULL OR source = :source)
    LIMIT 1000
""")
_EVENTS = text("""
    SELECT source, event_id, type, occurred_at, sequence, recorded_at, time_quality,
        CAST(data AS text) AS data
    FROM funnel_api.events_v1
    WHERE tenant_id = :tenant_id AND (source, event_id) > (:after_source, :after_id)
        AND (CAST(:since AS timestamptz) IS NULL OR occurred_at >= :since)
        AND (CAST(:until AS timestamptz) IS NULL OR occurred_at < :until)
        AND (CAST(:types AS text[]) IS NULL OR type = ANY (CAST(:types AS text[])))
        AND (CAST(:deal_id AS text) IS NULL
            OR (subject_kind = 'deal' AND subject_id = :deal_id))
    ORDER BY source, event_id LIMIT :limit
""")
_IMPORT_COLUMNS = """import_id, state, origin, recorded, dry_run, rows, accepted, duplicates,
    rejected, skipped, started_at, finished_at, detail, media, mapping_id,
    mapping_version, sample"""
_IMPORT = text(f"""
    SELECT {_IMPORT_COLUMNS} FROM ingest.imports
    WHERE tenant_id = :tenant_id AND import_id = :import_id
""")  # noqa: S608  constants only
_IMPORTS = text(f"""
    SELECT {_IMPORT_COLUMNS} FROM ingest.imports
    WHERE tenant_id = :tenant_id
        AND (CAST(:before AS uuid) IS NULL OR import_id < CAST(:before AS uuid))
    ORDER BY import_id DESC LIMIT :limit
""")  # noqa: S608
_RUNNING = text("""
    SELECT count(*) FROM ingest.imports WHERE tenant_id = :tenant_id AND state = 'running'
""")
_IMPORT_ERRORS = text("""
    SELECT row, code, detail, raw FROM ingest.import_errors
    WHERE tenant_id = :tenant_id AND import_id = :import_id AND row > :after
    ORDER BY row LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class ExportFilter:
    """Which events to export; `since` and `until` bound the time of occurrence, half-open."""

    since: datetime | None = None
    until: datetime | None = None
    types: tuple[str, ...] | None = None
    deal_id: str | None = None


class Reads:
    """`database` is a pool of the API role; `exports` a small patient one of the same role."""

    def __init__(self, database: Database, exports: Database, page: int) -> None:
        self._database, self._exports, self._page = database, exports, page

    async def traces(self, tenant_id: str, event_id: str, source: str | None) -> Sequence[Trace]:
        values = {
            "tenant_id": tenant_id, "event_id": event_id, "source": source,
            "crm_events": CRM_EVENTS,
        }  # fmt: skip
        async with self._database.for_tenant(tenant_id) as tx:
            return [Trace(**row) for row in (await tx.execute(_TRACES, values)).mappings()]

    async def events(
        self, tenant_id: str, wanted: ExportFilter
    ) -> AsyncIterator[Sequence[RowMapping]]:
        """Pages of kept events in key order, each in a transaction of its own.

        An event that arrives meanwhile is part of the export if its key is still ahead.
        """
        after = ("", "")
        while rows := await self._events_after(tenant_id, wanted, after):
            yield rows
            after = (rows[-1]["source"], rows[-1]["event_id"])

    async def import_(self, tenant_id: str, import_id: UUID) -> RowMapping | None:
        values = {"tenant_id": tenant_id, "import_id": import_id}
        async with self._database.for_tenant(tenant_id) as tx:
            return (await tx.execute(_IMPORT, values)).mappings().first()

    async def imports_running(self, tenant_id: str) -> int:
        """How many of a tenant's imports have not ended."""
        async with self._database.for_tenant(tenant_id) as tx:
            return int(await tx.scalar(_RUNNING, {"tenant_id": tenant_id}) or 0)

    async def imports(
        self, tenant_id: str, before: UUID | None, limit: int
    ) -> Sequence[RowMapping]:
        """Latest first: import ids are ordered in time."""
        values = {"tenant_id": tenant_id, "before": before, "limit": limit}
        async with self._database.for_tenant(tenant_id) as tx:
            return (await tx.execute(_IMPORTS, values)).mappings().all()

    async def import_errors(
        self, tenant_id: str, import_id: UUID
    ) -> AsyncIterator[Sequence[RowError]]:
        """Pages of rejected rows in order."""
        values = {"tenant_id": tenant_id, "import_id": import_id, "limit": self._page}
        after = 0
        while True:
            async with self._exports.for_tenant(tenant_id) as tx:
                rows = (await tx.execute(_IMPORT_ERRORS, values | {"after": after})).all()
            if not rows:
                return
            yield [RowError(*row) for row in rows]
            after = rows[-1].row

    async def _events_after(
        self, tenant_id: str, wanted: ExportFilter, after: tuple[str, str]
    ) -> Sequence[RowMapping]:
        values: dict[str, Any] = {
            "tenant_id": tenant_id,
            "after_source": after[0],
            "after_id": after[1],
            "since": wanted.since,
            "until": wanted.until,
            "types": list(wanted.types) if wanted.types else None,
            "deal_id": wanted.deal_id,
            "limit": self._page,
        }
        async with self._exports.for_tenant(tenant_id) as tx:
            return (await tx.execute(_EVENTS, values)).mappings().all()
