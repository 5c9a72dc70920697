"""`alerts.subjects` and `alerts.timers` as work: what waits to be judged, and what is due.

A subject's row is the lock of everything about it. Claims skip rows that another process holds.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.common.db.bulk import transposed
from services.alerts.adapters.importing import UNDER_WAY
from services.alerts.app.ports import Mark, SubjectKey

WAITS = "pending_at <= now() + interval '1 minute'"
"""Marked by now, or by a transaction that overlaps ours. What was put aside is marked for later."""
_BROUGHT_BY = f"""SELECT i.import_id FROM ingest_api.imports_all_v1 i
    WHERE {UNDER_WAY.format(tenant="k.tenant_id")}
    ORDER BY k.known_at BETWEEN i.started_at AND COALESCE(i.finished_at, 'infinity')
        DESC NULLS LAST, i.started_at DESC LIMIT 1"""  # noqa: S608  # constants of this module
"""The import during which an event became known, else the one that began last."""
_MARK = f"""INSERT INTO alerts.subjects AS s
        (tenant_id, kind, subject_id, pending_at, brought, import_id)
    SELECT k.tenant_id, 'deal', k.subject_id, now(), k.brought,
        CASE WHEN k.brought THEN ({_BROUGHT_BY}) END
    FROM unnest($1::text[], $2::text[], $3::boolean[], $4::timestamptz[])
        AS k(tenant_id, subject_id, brought, known_at)
    WHERE EXISTS (SELECT FROM alerts.rules r WHERE r.tenant_id = k.tenant_id)
    ORDER BY k.tenant_id, k.subject_id
    ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE
    SET pending_at = COALESCE(s.pending_at, EXCLUDED.pending_at),
        brought = s.brought OR EXCLUDED.brought,
        import_id = COALESCE(EXCLUDED.import_id, s.import_id)"""  # noqa: S608
_TENANTS = """WITH RECURSIVE found AS (
        SELECT min(tenant_id) AS tenant_id FROM alerts.rules
        UNION ALL SELECT (SELECT min(n.tenant_id) FROM alerts.rules n
            WHERE n.tenant_id > found.tenant_id) FROM found WHERE found.tenant_id IS NOT NULL)
    SELECT tenant_id FROM found WHERE tenant_id <> ALL($1)"""
"""Those with rules: one look for each, however many rules they have and had."""
PENDING = f"""SELECT s.tenant_id, s.subject_id FROM (
        SELECT p.*, row_number() OVER (PARTITION BY p.tenant_id ORDER BY p.pending_at) AS turn
        FROM ({_TENANTS}) r
        CROSS JOIN LATERAL (SELECT p.tenant_id, p.kind, p.subject_id, p.pending_at
            FROM alerts.subjects p
            WHERE p.tenant_id = r.tenant_id AND p.{WAITS} AND NOT p.brought
            ORDER BY p.pending_at LIMIT 2 * $2::bigint) p
        ORDER BY turn, p.pending_at LIMIT 2 * $2::bigint) d
    CROSS JOIN LATERAL (SELECT * FROM alerts.subjects s
        WHERE s.tenant_id = d.tenant_id AND s.kind = d.kind AND s.subject_id = d.subject_id
            AND s.{WAITS} AND NOT s.brought FOR UPDATE SKIP LOCKED) s
    LIMIT $2::bigint"""  # noqa: S608  # constants of this module
"""Tenants take turns. Twice as many are looked at as are taken: others may hold the first ones."""
NOT_HELD = """NOT EXISTS (SELECT FROM alerts.subjects h WHERE h.tenant_id = t.tenant_id
        AND h.kind = t.kind AND h.subject_id = t.subject_id AND h.brought)"""
DUE = f"""SELECT s.tenant_id, s.subject_id FROM alerts.subjects s
    JOIN (SELECT tenant_id, kind, subject_id, min(turn) AS turn, min(due_at) AS due_at FROM (
            SELECT t.*, row_number() OVER (PARTITION BY t.tenant_id ORDER BY t.due_at) AS turn
            FROM ({_TENANTS}) r
            CROSS JOIN LATERAL (SELECT t.tenant_id, t.kind, t.subject_id, t.due_at
                FROM alerts.timers t
                WHERE t.tenant_id = r.tenant_id AND t.due_at <= $3 AND {NOT_HELD}
                ORDER BY t.due_at LIMIT $2) t) t
        GROUP BY tenant_id, kind, subject_id
        ORDER BY min(turn), min(due_at) LIMIT $2) d USING (tenant_id, kind, subject_id)
    WHERE NOT s.brought ORDER BY d.turn, d.due_at FOR UPDATE OF s SKIP LOCKED"""  # noqa: S608
"""Tenants take turns. The filter stands inside: held subjects must not fill what is looked at."""
_OF_TENANT = """SELECT s.subject_id FROM alerts.subjects s LEFT JOIN LATERAL (
        SELECT min(t.due_at) AS due_at FROM alerts.timers t WHERE t.tenant_id = s.tenant_id
            AND t.kind = s.kind AND t.subject_id = s.subject_id AND t.due_at <= $3) d ON true
    WHERE s.tenant_id = $1 AND s.kind = 'deal' AND (s.pending_at <= $2 OR d.due_at IS NOT NULL)
    ORDER BY d.due_at NULLS FIRST, s.subject_id LIMIT $4 FOR UPDATE OF s SKIP LOCKED"""
"""What is new comes before what is due: it may be due earlier."""
_BROUGHT = f"""SELECT subject_id, import_id FROM alerts.subjects
    WHERE tenant_id = $1 AND kind = 'deal' AND {WAITS} AND brought
    ORDER BY subject_id LIMIT $2 FOR UPDATE SKIP LOCKED"""  # noqa: S608  # constants of this module
_HELD = f"""SELECT DISTINCT tenant_id FROM alerts.subjects
    WHERE {WAITS} AND brought AND tenant_id <> ALL($1)"""  # noqa: S608
_WORK = f"""SELECT
    EXISTS (SELECT FROM alerts.subjects s
        WHERE s.tenant_id = $1 AND s.{WAITS}),
    EXISTS (SELECT FROM alerts.timers t WHERE t.tenant_id = $1 AND t.due_at <= $2),
    EXISTS (SELECT FROM alerts.sweeps w WHERE w.tenant_id = $1),
    EXISTS (SELECT FROM alerts.sandbox_outbox p WHERE p.tenant_id = $1),
    EXISTS (SELECT FROM alerts.outbox o WHERE o.tenant_id = $1 AND o.published_at IS NULL)"""  # noqa: S608
_PUT_ASIDE = """WITH timers AS (
        UPDATE alerts.timers SET due_at = NULL, generation = generation + 1
        WHERE tenant_id = $1 AND kind = 'deal' AND subject_id = $2 AND due_at IS NOT NULL)
    UPDATE alerts.subjects SET pending_at = now() + $3::interval, import_id = NULL
    WHERE tenant_id = $1 AND kind = 'deal' AND subject_id = $2"""
"""Its clocks must not bring it back either; nobody waits for it to tell that an import is over."""
_OLDEST = f"""SELECT t.due_at FROM alerts.timers t
    WHERE t.due_at IS NOT NULL AND t.tenant_id <> ALL($1) AND {NOT_HELD}
    ORDER BY t.due_at LIMIT 1"""  # noqa: S608  # constants of this module


async def mark(conn: Any, marks: Collection[Mark]) -> None:
    """The subjects wait to be judged, if their tenants have rules."""
    rows = sorted((m.tenant_id, m.subject_id, m.brought, m.known_at) for m in marks)
    if rows:
        await conn.execute(_MARK, *transposed(rows, 4))


async def put_aside(conn: Any, tenant_id: str, subject_id: str, pause: timedelta) -> None:
    """A claimed subject is claimed again once the pause is over, and not before."""
    await conn.execute(_PUT_ASIDE, tenant_id, subject_id, pause)


async def pending(conn: Any, sandboxes: Collection[str], limit: int) -> Sequence[SubjectKey]:
    """Claim subjects of real tenants, those that have waited longest, as `due` does."""
    return [(row[0], row[1]) for row in await conn.fetch(PENDING, list(sandboxes), limit)]


async def due(
    conn: Any, sandboxes: Collection[str], until: datetime, limit: int
) -> Sequence[SubjectKey]:
    """Claim subjects of real tenants with a timer that is due, imports' apart, tenants in turn."""
    rows = await conn.fetch(DUE, list(sandboxes), limit, until)
    return [(row[0], row[1]) for row in rows]


async def of_tenant(
    conn: Any, tenant_id: str, marked_by: datetime, due_by: datetime, limit: int
) -> Sequence[str]:
    """Claim a sandbox's subjects that wait since `marked_by` (real) or are due at `due_by`."""
    return [row[0] for row in await conn.fetch(_OF_TENANT, tenant_id, marked_by, due_by, limit)]


async def brought(conn: Any, tenant_id: str, limit: int) -> Mapping[UUID | None, Sequence[str]]:
    """Claim subjects that imports brought, by import."""
    found: dict[UUID | None, list[str]] = defaultdict(list)
    for subject_id, import_id in await conn.fetch(_BROUGHT, tenant_id, limit):
        found[import_id].append(subject_id)
    return found


async def tenants_with_brought(conn: Any, sandboxes: Collection[str]) -> Sequence[str]:
    """Real tenants of which something waits for an import's end."""
    return [row[0] for row in await conn.fetch(_HELD, list(sandboxes))]


async def waits(conn: Any, tenant_id: str, now: datetime) -> bool:
    """Whether anything of a tenant is still to be judged or published as of its clock."""
    return any(await conn.fetchrow(_WORK, tenant_id, now))


async def oldest_timer(conn: Any, sandboxes: Collection[str]) -> datetime | None:
    """When the timer of a real tenant that comes first is due, imports' apart."""
    found: datetime | None = await conn.fetchval(_OLDEST, list(sandboxes))
    return found
