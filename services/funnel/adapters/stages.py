"""Stages that deals were seen in and that nobody published: registered, never refused.

A discovered stage's `first_occurred_at` is the earliest entry of any visit that is still believed,
so it follows from the events alone: what was believed for a while leaves no trace.
"""

from collections.abc import Sequence
from typing import Any

from libs.common.db.bulk import transposed
from services.funnel.app.model import DealWrite

_HOLD = """SELECT FROM unnest($1::text[], $2::text[], $3::text[])
        AS k(tenant_id, pipeline_id, stage_id)
    JOIN funnel.stages s USING (tenant_id, pipeline_id, stage_id)
    ORDER BY s.tenant_id, s.pipeline_id, s.stage_id FOR UPDATE OF s"""
_RECHECK = """WITH seen AS (
        SELECT k.tenant_id, k.pipeline_id, k.stage_id, (
            SELECT min(v.entered_at) FROM funnel.visits v
            JOIN funnel.generations g ON g.tenant_id = v.tenant_id AND g.current = v.generation
            WHERE v.tenant_id = k.tenant_id AND v.pipeline_id = k.pipeline_id
                AND v.stage_id = k.stage_id AND v.known_to = 'infinity') AS first
        FROM unnest($1::text[], $2::text[], $3::text[]) AS k(tenant_id, pipeline_id, stage_id)
    ), gone AS (
        DELETE FROM funnel.stages s USING seen
        WHERE s.tenant_id = seen.tenant_id AND s.pipeline_id = seen.pipeline_id
            AND s.stage_id = seen.stage_id AND s.state = 'discovered' AND seen.first IS NULL
    )
    UPDATE funnel.stages s SET first_occurred_at = seen.first FROM seen
    WHERE s.tenant_id = seen.tenant_id AND s.pipeline_id = seen.pipeline_id
        AND s.stage_id = seen.stage_id
        AND (seen.first IS NOT NULL OR s.state <> 'discovered')
        AND s.first_occurred_at IS DISTINCT FROM seen.first"""


_ALL = """SELECT tenant_id, pipeline_id, stage_id FROM funnel.stages WHERE tenant_id = $1
    ORDER BY pipeline_id, stage_id"""


async def register_stages(conn: Any, writes: Sequence[DealWrite]) -> None:
    """Register the stages of new visits that are believed, with their earliest entry."""
    first: dict[tuple[str, str, str], Any] = {}
    for write in writes:
        for visit in (known.row for known in write.visits.put if known.known_to is None):
            key = (write.tenant_id, visit.pipeline_id, visit.stage_id)
            first[key] = min(first.get(key, visit.entered_at), visit.entered_at)
    await conn.execute(
        """INSERT INTO funnel.stages
            (tenant_id, pipeline_id, stage_id, state, name, class, first_occurred_at)
        SELECT tenant_id, pipeline_id, stage_id, 'discovered', stage_id,
            CASE WHEN stage_id IN ('won', '_won') THEN 'won'
                WHEN stage_id IN ('lost', '_lost') THEN 'lost' ELSE 'open' END, at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
            AS k(tenant_id, pipeline_id, stage_id, at)
        ON CONFLICT (tenant_id, pipeline_id, stage_id) DO UPDATE
        SET first_occurred_at = EXCLUDED.first_occurred_at
        WHERE funnel.stages.first_occurred_at IS NULL
            OR funnel.stages.first_occurred_at > EXCLUDED.first_occurred_at""",
        *transposed([(*key, at) for key, at in sorted(first.items())], 4),
    )


async def recheck_stages(conn: Any, writes: Sequence[DealWrite]) -> None:
    """Where first visits were taken back: find the first one again, or forget the stage.

    Whoever registers a visit holds its stage's row: waiting for it first, we look at what he wrote.
    """
    stages = {(write.tenant_id, *stage) for write in writes for stage in write.vacated}
    if stages:
        keys = transposed(sorted(stages), 3)
        await conn.execute(_HOLD, *keys)
        await conn.execute(_RECHECK, *keys)


async def recheck_tenant(conn: Any, tenant_id: str) -> None:
    """Every stage of a tenant anew from the generation that is served now."""
    rows = await conn.fetch(_ALL, tenant_id)
    keys = transposed([tuple(row) for row in rows], 3)
    await conn.execute(_HOLD, *keys)
    await conn.execute(_RECHECK, *keys)
