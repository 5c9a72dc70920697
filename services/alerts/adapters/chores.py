"""Chores of the scheduler: sweeps of a changed rule over all deals, tombstones of old alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db import outbox
from libs.common.db.database import Database, driver
from services.alerts.adapters import importing, rules, subjects
from services.alerts.app.compiling import StoredRule
from services.alerts.app.ports import Mark
from services.alerts.app.records import tombstone

CHUNK = 1_000
KEEP_DAYS = 30
"""How long an ended alert stays in the topic of states."""
_BEGIN = """INSERT INTO alerts.sweeps (tenant_id, rule_id, version, started_at)
    VALUES ($1, $2, $3, now()) ON CONFLICT (tenant_id, rule_id) DO UPDATE
    SET version = EXCLUDED.version, after_id = '', marked = 0, started_at = now()"""
_NEXT = """SELECT tenant_id, rule_id, after_id FROM alerts.sweeps
    ORDER BY started_at LIMIT 1 FOR UPDATE SKIP LOCKED"""
_DEALS = """SELECT DISTINCT deal_id FROM funnel_api.deal_history_v1
    WHERE tenant_id = $1 AND deal_id > $2 ORDER BY deal_id LIMIT $3"""
_JUDGED = """SELECT subject_id FROM alerts.subjects
    WHERE tenant_id = $1 AND kind = 'deal' AND subject_id > $2
    ORDER BY subject_id LIMIT $3 FOR UPDATE"""
"""Waits for judgements under way: they may have read the rule as it was, and raise an alert yet."""
_RAISED = """SELECT DISTINCT subject_id FROM alerts.alerts
    WHERE tenant_id = $1 AND rule_id = $2 AND state <> 'resolved' AND subject_id = ANY($3)"""
_ADVANCE = """UPDATE alerts.sweeps SET after_id = $3, marked = marked + $4
    WHERE tenant_id = $1 AND rule_id = $2"""
_END = "DELETE FROM alerts.sweeps WHERE tenant_id = $1 AND rule_id = $2"
_ENDED = f"""UPDATE alerts.alerts
    SET ended_at = NULL, end_known_at = COALESCE(end_known_at, ended_at)
    WHERE (tenant_id, alert_id) IN (
        SELECT tenant_id, alert_id FROM alerts.alerts
        WHERE ended_at < now() - interval '{KEEP_DAYS} days' ORDER BY ended_at LIMIT $1
        FOR UPDATE SKIP LOCKED)
    RETURNING tenant_id, alert_id"""  # noqa: S608  # a constant of this module
_BIND = text("SELECT set_config('app.tenant', :tenant, true)")


async def begin_sweep(conn: Any, rule: StoredRule) -> None:
    """Have every deal judged by a new version; a sweep under way starts over."""
    await conn.execute(_BEGIN, rule.tenant_id, rule.rule_id, rule.version)


@dataclass(frozen=True, slots=True)
class _Part:
    """What a step of a sweep looks at: deals by id, and those that have to be judged.

    `brought`: they wait for an import's end. Nothing was kept of what it brought before there was
    a rule, so no deal is known to be untouched.
    """

    deals: Sequence[str]
    concerned: Sequence[str]
    brought: bool


class Chores:
    """Steps of the scheduler; each is one transaction and tells whether there may be more."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sweep(self) -> bool:
        """Mark the next deals that a changed rule concerns."""
        async with self._database.across_tenants() as tx:
            conn = await driver(tx)
            row = await conn.fetchrow(_NEXT)
            if row is None:
                return False
            tenant_id, rule_id, after = row
            part = await _part(tx, tenant_id, rule_id, after)
            await subjects.mark(
                conn, [Mark(tenant_id, subject, part.brought) for subject in part.concerned]
            )
            if len(part.deals) < CHUNK:
                await conn.execute(_END, tenant_id, rule_id)
            else:
                last, marked = part.deals[-1], len(part.concerned)
                await conn.execute(_ADVANCE, tenant_id, rule_id, last, marked)
        return True

    async def bury(self) -> bool:
        """Take alerts that ended long ago out of the topic of states."""
        async with self._database.across_tenants() as tx:
            ended = await (await driver(tx)).fetch(_ENDED, CHUNK)
            rows = [tombstone(tenant_id, str(alert_id)) for tenant_id, alert_id in ended]
            await outbox.put(tx, "alerts", rows)
        return len(rows) == CHUNK


async def _part(tx: AsyncConnection, tenant_id: str, rule_id: str, after: str) -> _Part:
    """The next deals, and which of them the latest version of a rule concerns."""
    conn = await driver(tx)
    rule = await rules.one(conn, tenant_id, rule_id)
    if rule is None or rule.mode != "live":
        return await _of_ended(conn, tenant_id, rule_id, after)
    await tx.execute(_BIND, {"tenant": tenant_id})
    brought = await importing.under_way(conn, tenant_id)
    deals = [row[0] for row in await conn.fetch(_DEALS, tenant_id, after, CHUNK)]
    return _Part(deals, deals, brought)


async def _of_ended(conn: Any, tenant_id: str, rule_id: str, after: str) -> _Part:
    """Deals with open alerts of a rule that is off or deleted; to end these nobody waits."""
    deals = [row[0] for row in await conn.fetch(_JUDGED, tenant_id, after, CHUNK)]
    raised = await conn.fetch(_RAISED, tenant_id, rule_id, deals)
    return _Part(deals, [row[0] for row in raised], brought=False)
