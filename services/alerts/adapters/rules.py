"""`alerts.rules`: every version of every rule."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import orjson

from services.alerts.app.compiling import StoredRule

KNOWN_WITHDRAWALS = 100
"""How many of a rule are read: those of long ago have been looked at."""
_COLUMNS = f"""r.tenant_id, r.rule_id, version, definition, mode, effective_from, changed_at,
    published_at, published_by, COALESCE(judges_since, version) AS judges_since,
    (SELECT e.changed_at FROM alerts.rules e WHERE e.tenant_id = r.tenant_id
        AND e.rule_id = r.rule_id
        AND e.version = COALESCE(r.judges_since, r.version)) AS judges_from,
    ARRAY(SELECT ROW(w.version, w.changed_at) FROM alerts.rules w
        WHERE w.tenant_id = r.tenant_id AND w.rule_id = r.rule_id AND w.version < r.version
            AND w.mode <> 'live'
        ORDER BY w.version DESC LIMIT {KNOWN_WITHDRAWALS}) AS withdrawals"""  # noqa: S608
JUDGING = f"""SELECT {_COLUMNS} FROM alerts.rules r
        WHERE tenant_id = $1 AND latest AND mode = 'live'
    UNION ALL SELECT {_COLUMNS} FROM (SELECT DISTINCT a.rule_id FROM alerts.alerts a
            WHERE a.tenant_id = $1 AND a.subject_kind = 'deal' AND a.subject_id = ANY($2)
                AND a.state <> 'resolved') raised
        CROSS JOIN LATERAL (SELECT * FROM alerts.rules l WHERE l.tenant_id = $1
            AND l.rule_id = raised.rule_id AND l.latest AND l.mode <> 'live') r
    ORDER BY rule_id"""  # noqa: S608
"""Rules that are off or deleted are many, in time, and only their open alerts need them."""
_ONE = f"""SELECT {_COLUMNS} FROM alerts.rules r WHERE tenant_id = $1 AND rule_id = $2
    ORDER BY version DESC LIMIT 1"""  # noqa: S608
_VERSIONS = f"""SELECT {_COLUMNS} FROM alerts.rules r WHERE tenant_id = $1 AND rule_id = $2
    AND version < $3 ORDER BY version DESC LIMIT $4"""  # noqa: S608
_PAGE = f"""SELECT {_COLUMNS} FROM alerts.rules r
    WHERE tenant_id = $1 AND rule_id > $2 AND latest AND mode <> 'deleted'
    ORDER BY rule_id LIMIT $3"""  # noqa: S608
_SUPERSEDE = """UPDATE alerts.rules SET latest = false
    WHERE tenant_id = $1 AND rule_id = $2 AND latest"""
_INSERT = """INSERT INTO alerts.rules (tenant_id, rule_id, version, definition, mode,
        effective_from, changed_at, published_at, published_by, judges_since)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""
_HOLD = "SELECT pg_advisory_xact_lock(hashtextextended('alerts.rules ' || $1, 0))"
_STATUS = """SELECT
    (SELECT row(e.errors, e.last_at, e.last_subject_id, e.last_detail) FROM alerts.rule_errors e
        WHERE e.tenant_id = $1 AND e.rule_id = $2 AND e.version = $3),
    (SELECT count(*) FROM alerts.alerts a WHERE a.tenant_id = $1 AND a.rule_id = $2
        AND a.state <> 'resolved'),
    (SELECT count(*) FROM alerts.sweeps s WHERE s.tenant_id = $1 AND s.rule_id = $2)
        + (SELECT count(*) FROM alerts.subjects p WHERE p.tenant_id = $1
            AND p.pending_at IS NOT NULL)
        + (SELECT count(*) FROM alerts.timers t WHERE t.tenant_id = $1 AND t.rule_id = $2
            AND t.due_at <= $4)"""


def _stored(row: Any) -> StoredRule:
    found = dict(row)
    found["definition"] = orjson.loads(found["definition"])
    found["withdrawals"] = [tuple(one) for one in reversed(found["withdrawals"])]
    return StoredRule(**found)


async def hold(conn: Any, tenant_id: str) -> None:
    """One writer of a tenant's rules at a time."""
    await conn.execute(_HOLD, tenant_id)


async def judging(conn: Any, tenant_id: str, subjects: Collection[str]) -> Sequence[StoredRule]:
    """The latest version of each rule that is live or has an open alert of these subjects."""
    rows = await conn.fetch(JUDGING, tenant_id, list(subjects))
    return [_stored(row) for row in rows]


async def one(conn: Any, tenant_id: str, rule_id: str) -> StoredRule | None:
    """The latest version, also of a deleted rule."""
    row = await conn.fetchrow(_ONE, tenant_id, rule_id)
    return _stored(row) if row else None


async def page(conn: Any, tenant_id: str, after: str, limit: int) -> Sequence[StoredRule]:
    """Rules that are not deleted, by id."""
    return [_stored(row) for row in await conn.fetch(_PAGE, tenant_id, after, limit)]


async def versions(
    conn: Any, tenant_id: str, rule_id: str, before: int, limit: int
) -> Sequence[StoredRule]:
    """Versions of a rule, newest first."""
    rows = await conn.fetch(_VERSIONS, tenant_id, rule_id, before, limit)
    return [_stored(row) for row in rows]


async def insert(conn: Any, rule: StoredRule) -> None:
    """Write a new version; the caller holds the tenant's rules."""
    definition = orjson.dumps(rule.definition).decode()
    await conn.execute(_SUPERSEDE, rule.tenant_id, rule.rule_id)
    await conn.execute(
        _INSERT, rule.tenant_id, rule.rule_id, rule.version, definition, rule.mode,
        rule.effective_from, rule.changed_at, rule.published_at, rule.published_by,
        rule.judges_since,
    )  # fmt: skip


async def status(conn: Any, stored: StoredRule, now: datetime) -> Any:
    """`(errors, open alerts, waiting)` of a rule: errors are a row or `None`, waiting is how much
    there is still to be judged as of the tenant's now."""
    return await conn.fetchrow(_STATUS, stored.tenant_id, stored.rule_id, stored.version, now)
