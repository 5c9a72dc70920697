"""`funnel.rebuilds`: shadow generations, their differences, the switch and the cleaning up."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from libs.common.db.bulk import transposed
from services.funnel.adapters.columns import state_of
from services.funnel.adapters.stages import recheck_tenant
from services.funnel.app.model import DealKey
from services.funnel.app.rebuild import Difference, Rebuild
from services.funnel.domain.model import DealState

_CLAIM = """SELECT tenant_id, rebuild_id, generation, state, accept, differing, cursor, started_at
    FROM funnel.rebuilds WHERE finished_at IS NULL
    ORDER BY started_at, tenant_id LIMIT 1 FOR UPDATE SKIP LOCKED"""
_DEALS = """(SELECT DISTINCT subject_id FROM funnel.events
        WHERE tenant_id = $1 AND subject_kind = 'deal' AND subject_id > $2
        ORDER BY subject_id LIMIT $3)
    UNION (SELECT d.deal_id FROM funnel.deals d
        JOIN funnel.generations g ON g.tenant_id = d.tenant_id AND g.current = d.generation
        WHERE d.tenant_id = $1 AND d.deal_id > $2 ORDER BY d.deal_id LIMIT $3)
    ORDER BY 1 LIMIT $3"""
_VANISHED = """SELECT d.deal_id FROM funnel.deals d
    JOIN funnel.generations g ON g.tenant_id = d.tenant_id AND g.current = d.generation
    WHERE d.tenant_id = $1 AND d.status IS NOT NULL AND NOT EXISTS (
        SELECT FROM funnel.deals n WHERE n.tenant_id = d.tenant_id AND n.generation = $2
            AND n.deal_id = d.deal_id)
    ORDER BY d.deal_id"""
_UNPUBLISHED = """WITH next AS (
        SELECT tenant_id, rebuild_id, deal_id FROM funnel.rebuild_differences
        WHERE tenant_id = $1 AND rebuild_id = $2 AND NOT published
        ORDER BY deal_id LIMIT $3 FOR UPDATE
    ), marked AS (
        UPDATE funnel.rebuild_differences r SET published = true FROM next
        WHERE r.tenant_id = next.tenant_id AND r.rebuild_id = next.rebuild_id
            AND r.deal_id = next.deal_id
        RETURNING r.deal_id AS id
    )
    SELECT m.id, d.* FROM marked m LEFT JOIN funnel.deals d
        ON d.tenant_id = $1 AND d.deal_id = m.id AND d.generation = $4 AND d.status IS NOT NULL"""
_RAISE = """UPDATE funnel.deals d SET version = d.version + 1
    FROM unnest($1::text[], $2::text[]) AS k(tenant_id, deal_id), funnel.generations g
    WHERE g.tenant_id = k.tenant_id AND d.tenant_id = k.tenant_id AND d.deal_id = k.deal_id
        AND d.generation = g.current
    RETURNING d.tenant_id, d.deal_id, d.version"""
_CLEAN = """DELETE FROM funnel.{table} t WHERE t.ctid = ANY (ARRAY(
        SELECT x.ctid FROM funnel.{table} x
        JOIN funnel.generations g ON g.tenant_id = x.tenant_id
        WHERE x.tenant_id = $1 AND x.generation <> g.current
            AND x.generation IS DISTINCT FROM g.building
        LIMIT $2))"""
_TABLES = ("deals", "visits", "deal_history")


async def claim(conn: Any) -> Rebuild | None:
    row = await conn.fetchrow(_CLAIM)
    return Rebuild(*row) if row else None


async def begin(conn: Any, rebuild: Rebuild) -> None:
    """Waits for the batches that hold the tenant's generation row."""
    await conn.execute(
        "UPDATE funnel.generations SET building = $2 WHERE tenant_id = $1",
        rebuild.tenant_id,
        rebuild.generation,
    )
    await conn.execute(
        """UPDATE funnel.rebuilds SET cursor = '', total = (
            SELECT count(*) FROM funnel.deals d
            JOIN funnel.generations g ON g.tenant_id = d.tenant_id AND g.current = d.generation
            WHERE d.tenant_id = $1)
        WHERE tenant_id = $1 AND rebuild_id = $2""",
        rebuild.tenant_id,
        rebuild.rebuild_id,
    )


async def deals_after(conn: Any, rebuild: Rebuild, limit: int) -> Sequence[str]:
    rows = await conn.fetch(_DEALS, rebuild.tenant_id, rebuild.cursor or "", limit)
    return [row[0] for row in rows]


async def queued(conn: Any, deals: Collection[DealKey]) -> Collection[DealKey]:
    rows = await conn.fetch(
        """SELECT DISTINCT q.tenant_id, q.deal_id FROM funnel.refold_queue q
        JOIN unnest($1::text[], $2::text[]) AS k(tenant_id, deal_id) USING (tenant_id, deal_id)""",
        *transposed(sorted(deals), 2),
    )
    return {(row[0], row[1]) for row in rows}


async def advance(
    conn: Any, rebuild: Rebuild, cursor: str, done: int, found: Sequence[Difference]
) -> None:
    await _keep(conn, rebuild, found)
    await conn.execute(
        """UPDATE funnel.rebuilds SET cursor = $3, done = done + $4, differing = differing + $5
        WHERE tenant_id = $1 AND rebuild_id = $2""",
        rebuild.tenant_id,
        rebuild.rebuild_id,
        cursor,
        done,
        len(found),
    )


async def _keep(conn: Any, rebuild: Rebuild, found: Sequence[Difference]) -> None:
    await conn.execute(
        """INSERT INTO funnel.rebuild_differences (tenant_id, rebuild_id, deal_id, before, after)
        SELECT $1, $2, deal_id, before, after
        FROM unnest($3::text[], $4::text[], $5::text[]) AS k(deal_id, before, after)
        ON CONFLICT DO NOTHING""",
        rebuild.tenant_id,
        rebuild.rebuild_id,
        *transposed([(d.deal_id, d.before, d.after) for d in found], 3),
    )


async def vanished(conn: Any, rebuild: Rebuild) -> Sequence[Difference]:
    rows = await conn.fetch(_VANISHED, rebuild.tenant_id, rebuild.generation)
    return [Difference(row[0], "served", None) for row in rows]


async def end(conn: Any, rebuild: Rebuild, state: str, found: Sequence[Difference]) -> None:
    """One UPDATE switches; readers see either generation, whole."""
    await _keep(conn, rebuild, found)
    await conn.execute(
        """UPDATE funnel.generations SET building = NULL,
            current = CASE WHEN $2 = 'switched' THEN building ELSE current END
        WHERE tenant_id = $1""",
        rebuild.tenant_id,
        state,
    )
    if state == "switched":
        await recheck_tenant(conn, rebuild.tenant_id)
    await conn.execute(
        """UPDATE funnel.rebuilds SET state = $3, differing = differing + $4
        WHERE tenant_id = $1 AND rebuild_id = $2""",
        rebuild.tenant_id,
        rebuild.rebuild_id,
        state,
        len(found),
    )


async def unpublished(
    conn: Any, rebuild: Rebuild, limit: int
) -> Sequence[tuple[str, DealState | None]]:
    """Marks them as published: the record is written by the same transaction."""
    previous = await conn.fetchval(
        """SELECT max(generation) FROM funnel.deals WHERE tenant_id = $1 AND generation < $2""",
        rebuild.tenant_id,
        rebuild.generation,
    )
    rows = await conn.fetch(
        _UNPUBLISHED, rebuild.tenant_id, rebuild.rebuild_id, limit, previous or 0
    )
    return [(row["id"], state_of(row) if row["deal_id"] else None) for row in rows]


async def raise_versions(conn: Any, deals: Collection[DealKey]) -> Mapping[DealKey, int]:
    rows = await conn.fetch(_RAISE, *transposed(sorted(deals), 2))
    return {(row[0], row[1]): row[2] for row in rows}


async def clean(conn: Any, rebuild: Rebuild, limit: int) -> bool:
    for table in _TABLES:
        done = await conn.execute(_CLEAN.format(table=table), rebuild.tenant_id, limit)
        if done != "DELETE 0":
            return True
    await conn.execute(
        "UPDATE funnel.rebuilds SET finished_at = now() WHERE tenant_id = $1 AND rebuild_id = $2",
        rebuild.tenant_id,
        rebuild.rebuild_id,
    )
    return False
