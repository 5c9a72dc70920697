"""The rows around a judgement, in one transaction. Implements `JudgingStore`."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db import outbox
from libs.common.db.bulk import transposed
from libs.common.db.database import driver
from libs.common.db.errors import is_refused
from services.alerts.adapters import alert_rows, importing, rules, timelines, turns
from services.alerts.adapters.subjects import mark, put_aside
from services.alerts.app.compiling import StoredRule
from services.alerts.app.ports import Record, Rows, RuleError, Timer
from services.alerts.domain.alert import Alert
from services.alerts.domain.timeline import Facts

_TIMERS = """SELECT subject_id, rule_id, due_at, judged_to, brought_to FROM alerts.timers
    WHERE tenant_id = $1 AND kind = 'deal' AND subject_id = ANY($2)"""
_ARM = """INSERT INTO alerts.timers AS t
        (tenant_id, kind, subject_id, rule_id, due_at, judged_to, brought_to)
    SELECT $1, 'deal', subject_id, rule_id, due_at, judged_to, brought_to
    FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
        AS k(subject_id, rule_id, due_at, judged_to, brought_to)
    ON CONFLICT (tenant_id, kind, subject_id, rule_id) DO UPDATE
    SET due_at = EXCLUDED.due_at, judged_to = EXCLUDED.judged_to, brought_to = EXCLUDED.brought_to,
        generation = t.generation + (t.due_at IS DISTINCT FROM EXCLUDED.due_at)::int"""
_DISARM = """DELETE FROM alerts.timers
    WHERE tenant_id = $1 AND kind = 'deal' AND subject_id = ANY($2) AND rule_id <> ALL($3)"""
_ERRORS = """INSERT INTO alerts.rule_errors AS e
        (tenant_id, rule_id, version, errors, last_at, last_subject_id, last_detail)
    SELECT $1, rule_id, version, count(*), now(), max(subject_id), max(detail)
    FROM unnest($2::text[], $3::int[], $4::text[], $5::text[])
        AS k(rule_id, version, subject_id, detail)
    GROUP BY rule_id, version
    ON CONFLICT (tenant_id, rule_id, version) DO UPDATE
    SET errors = e.errors + EXCLUDED.errors, last_at = EXCLUDED.last_at,
        last_subject_id = EXCLUDED.last_subject_id, last_detail = EXCLUDED.last_detail"""
_SETTLE = """UPDATE alerts.subjects SET pending_at = NULL, brought = false, import_id = NULL
    WHERE tenant_id = $1 AND kind = 'deal' AND subject_id = ANY($2) AND pending_at IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class PostgresJudging:
    """`tx` is bound to the tenant that it judges."""

    tx: AsyncConnection

    async def rules(self, tenant_id: str, subjects: Collection[str]) -> Sequence[StoredRule]:
        return await rules.judging(await driver(self.tx), tenant_id, subjects)

    async def weights(
        self, tenant_id: str, subjects: Collection[str], attributes: bool
    ) -> Mapping[str, int]:
        return await timelines.weights_of(await driver(self.tx), tenant_id, subjects, attributes)

    async def facts(
        self, tenant_id: str, subjects: Collection[str], attributes: bool
    ) -> Mapping[str, Facts]:
        return await timelines.facts_of(await driver(self.tx), tenant_id, subjects, attributes)

    async def hold(self, tenant_id: str, subjects: Collection[str]) -> Collection[str]:
        conn = await driver(self.tx)
        marks = await importing.arrived(conn, tenant_id, subjects)
        await mark(conn, marks)
        return [held.subject_id for held in marks]

    async def rows(self, tenant_id: str, subjects: Collection[str]) -> Rows:
        conn = await driver(self.tx)
        found = await alert_rows.of_subjects(conn, tenant_id, subjects)
        timers = [Timer(*row) for row in await conn.fetch(_TIMERS, tenant_id, list(subjects))]
        return Rows(
            {key: [a for a in of if a.resolution != "retracted"] for key, of in found.items()},
            {key: of[-1].episode for key, of in found.items()},
            {(timer.subject_id, timer.rule_id): timer for timer in timers},
        )

    async def write_alerts(self, tenant_id: str, alerts: Sequence[Alert]) -> None:
        conn = await driver(self.tx)
        await alert_rows.write(conn, tenant_id, alerts, await conn.fetchval("SELECT now()"))

    async def write_timers(self, tenant_id: str, timers: Sequence[Timer]) -> None:
        if timers:
            columns = transposed(
                [(t.subject_id, t.rule_id, t.due_at, t.judged_to, t.brought_to) for t in timers], 5
            )
            await (await driver(self.tx)).execute(_ARM, tenant_id, *columns)

    async def disarm(
        self, tenant_id: str, subjects: Collection[str], live: Collection[str]
    ) -> None:
        conn = await driver(self.tx)
        await conn.execute(_DISARM, tenant_id, list(subjects), list(live))

    async def count_errors(self, tenant_id: str, errors: Sequence[RuleError]) -> None:
        if errors:
            columns = transposed(
                [(e.rule_id, e.version, e.subject_id, e.detail) for e in errors], 4
            )
            await (await driver(self.tx)).execute(_ERRORS, tenant_id, *columns)

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        conn = await driver(self.tx)
        await conn.execute("SAVEPOINT attempt")
        try:
            yield
        except Exception as error:
            if is_refused(error):
                await conn.execute("ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt")
            raise
        await conn.execute("RELEASE SAVEPOINT attempt")

    async def put_aside(self, tenant_id: str, subject_id: str, pause: timedelta) -> None:
        await put_aside(await driver(self.tx), tenant_id, subject_id, pause)

    async def settle(self, tenant_id: str, subjects: Collection[str]) -> None:
        await (await driver(self.tx)).execute(_SETTLE, tenant_id, list(subjects))

    async def publish(self, records: Sequence[Record]) -> None:
        await outbox.put(self.tx, "alerts", [row for _, rows in records for row in rows])


class SandboxJudging(PostgresJudging):
    """What it publishes waits for its turn."""

    async def publish(self, records: Sequence[Record]) -> None:
        await turns.park(await driver(self.tx), records)


def judging(tx: AsyncConnection, sandbox: bool) -> PostgresJudging:
    """The store of a tenant of either kind."""
    return SandboxJudging(tx) if sandbox else PostgresJudging(tx)
