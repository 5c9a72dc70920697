"""Lists of alerts for the API, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.alerts.adapters.alert_rows import READ, alert_of
from services.alerts.domain.alert import Alert

Key = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class AlertFilters:
    """Empty tuples and `None` leave a column free; the range is half-open."""

    state: tuple[str, ...] = ()
    rule_id: tuple[str, ...] = ()
    subject_id: tuple[str, ...] = ()
    owner_id: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    started_from: datetime | None = None
    started_to: datetime | None = None


_PAGE = f"""SELECT {READ} FROM alerts.alerts a
    WHERE a.tenant_id = $1
        AND ($2::text[] = '{{}}' OR a.state = ANY($2))
        AND ($3::text[] = '{{}}' OR a.rule_id = ANY($3))
        AND ($4::text[] = '{{}}' OR a.subject_id = ANY($4))
        AND ($5::text[] = '{{}}' OR a.owner_id = ANY($5))
        AND ($6::text[] = '{{}}' OR a.severity = ANY($6))
        AND a.started_at >= COALESCE($7, '-infinity'::timestamptz)
        AND a.started_at < COALESCE($8, 'infinity'::timestamptz)
        AND (a.started_at, a.alert_id) < (COALESCE($9, 'infinity'::timestamptz), $10::uuid)
    ORDER BY a.started_at DESC, a.alert_id DESC LIMIT $11"""  # noqa: S608  # constants
_ONE = f"""SELECT {READ} FROM alerts.alerts a
    WHERE a.tenant_id = $1 AND a.alert_id = $2"""  # noqa: S608  # constants
_LOCK = """SELECT FROM alerts.subjects s JOIN alerts.alerts a ON a.tenant_id = s.tenant_id
        AND a.subject_kind = s.kind AND a.subject_id = s.subject_id
    WHERE s.tenant_id = $1 AND a.alert_id = $2 FOR UPDATE OF s"""
_GREATEST = UUID(int=2**128 - 1)


async def page(
    conn: Any, tenant_id: str, asked: AlertFilters, before: Key | None, limit: int
) -> Sequence[Alert]:
    at, id_ = (None, _GREATEST) if before is None else (before[0], UUID(before[1]))
    lists = [
        list(names)
        for names in (asked.state, asked.rule_id, asked.subject_id, asked.owner_id, asked.severity)
    ]
    rows = await conn.fetch(
        _PAGE, tenant_id, *lists, asked.started_from, asked.started_to, at, id_, limit
    )
    return [alert_of(row) for row in rows]


async def one(conn: Any, tenant_id: str, alert_id: UUID) -> Alert | None:
    row = await conn.fetchrow(_ONE, tenant_id, alert_id)
    return alert_of(row) if row else None


async def lock_subject(conn: Any, tenant_id: str, alert_id: UUID) -> None:
    """Hold the alert's subject, so that no judgement writes it meanwhile."""
    await conn.execute(_LOCK, tenant_id, alert_id)
