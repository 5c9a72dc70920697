"""What an answer needs from the database besides its measure."""

# ruff: noqa: S608 - the texts are built from constants of the measures only

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.measures.scope import Parameters, Sql
from services.reporting.app.ports import Record
from services.reporting.domain.facts import Pipeline, Stage, TenantFacts

_FACTS = text(
    """SELECT t.tenant_id, t.timezone, t.currency, t.week_start, t.fiscal_year_start_month,
        COALESCE(c.counter, 0) AS counter, COALESCE(g.current, 1) AS generation,
        COALESCE(p.versions, '') AS pipeline_versions, c.latest_known,
        CASE WHEN t.sandbox THEN COALESCE(k.now, 'epoch') END AS sandbox_now
    FROM ingest_api.tenants_v1 t
    LEFT JOIN funnel_api.changes_v1 c ON c.tenant_id = t.tenant_id
    LEFT JOIN funnel_api.generations_v1 g ON g.tenant_id = t.tenant_id
    LEFT JOIN alerts_api.clock_v1 k ON k.tenant_id = t.tenant_id
    LEFT JOIN (SELECT tenant_id, string_agg(pipeline_id || '=' || latest, ',' ORDER BY pipeline_id)
            AS versions
        FROM (SELECT tenant_id, pipeline_id, max(version) AS latest
            FROM funnel_api.pipelines_v1 GROUP BY tenant_id, pipeline_id) v
        GROUP BY tenant_id) p ON p.tenant_id = t.tenant_id"""
)
_STAGES = text(
    """SELECT pipeline_id, stage_id, name, class, target_conversion,
        state = 'published' AS published
    FROM funnel_api.stages_v1 ORDER BY pipeline_id, ordinal"""
)
_LATEST_KNOWN = text(
    """SELECT GREATEST(max(r.known_from), max(r.known_to) FILTER (WHERE r.known_to <> 'infinity'))
    FROM (SELECT known_from, known_to FROM funnel_api.visits_v1
        UNION ALL SELECT known_from, known_to FROM funnel_api.deal_history_v1) r"""
)
_LATEST_EVENT = text(
    "SELECT max(recorded_at) FROM funnel_api.events_v1 WHERE subject_kind = 'deal'"
)
_WATERMARK = text(
    """SELECT LEAST((SELECT watermark FROM funnel_api.watermark_v1),
        (SELECT min(started_at) FROM ingest_api.imports_v1
            WHERE state = 'running' AND NOT dry_run))
    FROM funnel_api.watermark_v1"""
)
_PLANS = text("SET LOCAL enable_nestloop = off")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a list as it was known compares with what is known now."""

    then: int
    now: int
    differing: int


@dataclass(frozen=True, slots=True)
class TransactionReads:
    """Implements `Reads`; `tx` is bound to one tenant and sees one instant."""

    tx: AsyncConnection

    async def pin_plans(self) -> None:
        """Plans by shape: published views are security barriers: no join enters their scans.

        Right after an import there are no statistics, and the planner would read a whole view once
        for each row of the other side; hash joins read each view once.
        """
        await self.tx.execute(_PLANS)

    async def tenant_facts(self) -> TenantFacts | None:
        """The tenant of the transaction: settings and versions, by one cheap query."""
        row = (await self.tx.execute(_FACTS)).mappings().one_or_none()
        return None if row is None else TenantFacts(**row)

    async def pipelines(self) -> Mapping[str, Pipeline]:
        """Every pipeline with its stages in order."""
        found: dict[str, list[Stage]] = {}
        for row in await self.tx.execute(_STAGES):
            target = None if row.target_conversion is None else float(row.target_conversion)
            stage = Stage(row.stage_id, row.name, row[3], target, row.published)
            found.setdefault(row.pipeline_id, []).append(stage)
        return {name: Pipeline(name, tuple(stages)) for name, stages in found.items()}

    async def latest_known(self, *, with_events: bool = False) -> datetime | None:
        """The greatest known instant of the tenant's rows, by reading them all."""
        asked = (_LATEST_KNOWN, _LATEST_EVENT) if with_events else (_LATEST_KNOWN,)
        found = [(await self.tx.execute(statement)).scalar_one() for statement in asked]
        return max((known for known in found if known is not None), default=None)

    async def watermark(self) -> datetime | None:
        """Up to when the tenant's known time is final; `None` before there is a watermark."""
        found: datetime | None = (await self.tx.execute(_WATERMARK)).scalar_one_or_none()
        return found

    async def run(self, sql: Sql) -> Sequence[Record]:
        """The records of a measure."""
        found = await self.tx.execute(text(sql.text), sql.parameters)
        return [dict(row) for row in found.mappings()]

    async def compare(self, then: Sql, now: Sql) -> Agreement:
        """Count the deals of a list in both states of knowledge, and those in only one of them."""
        statement = f"""WITH before AS ({then.text}), today AS ({now.text})
            SELECT count(b.deal_id) AS then, count(t.deal_id) AS now,
                count(*) FILTER (WHERE b.deal_id IS NULL OR t.deal_id IS NULL) AS differing
            FROM before b FULL JOIN today t ON t.deal_id = b.deal_id"""
        bound = {**now.parameters, **then.parameters}
        return Agreement(**(await self.tx.execute(text(statement), bound)).mappings().one())

    async def listed(self, deals: Sql, known: str, after: str, limit: int) -> Sequence[Record]:
        """Deals of a list as they stood at the pinned instants, in the order of their ids."""
        statement = f"""WITH chosen AS ({deals.text})
            SELECT h.deal_id, h.name, h.status, h.pipeline_id, h.stage_id, h.owner_id, h.team_id,
                h.account_id, h.amount, h.currency, h.created_at, h.closed_at
            FROM (SELECT deal_id FROM chosen WHERE deal_id > :after ORDER BY deal_id LIMIT :limit) c
            JOIN funnel_api.deal_history_v1 h ON h.deal_id = c.deal_id
                AND h.valid_from <= :valid_at AND h.valid_to > :valid_at AND {known}
            ORDER BY h.deal_id"""
        bound: Parameters = {**deals.parameters, "after": after, "limit": limit}
        return [dict(row) for row in (await self.tx.execute(text(statement), bound)).mappings()]
