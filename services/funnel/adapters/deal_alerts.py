"""Alerts of deals, from what alerts publishes."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.funnel.domain.alerts import Claim, DealAlert

_TEXTS = ("rule_id", "rule_version", "rule_name", "episode", "severity", "summary", "late")
_OF_DEALS = text("""SELECT a.alert_id, a.rule_id, a.rule_version, a.rule_name, a.subject_id,
        a.episode, a.severity, a.summary, a.late, a.started_at, a.detected_at, a.resolved_at,
        a.resolution, a.start_source, a.start_event_id, a.corrections, a.acknowledged_at,
        CASE WHEN t.sandbox THEN a.resolved_at ELSE COALESCE(a.end_known_at, a.ended_at) END
            AS ended_known
    FROM alerts_api.alerts_v1 a JOIN ingest_api.tenants_v1 t USING (tenant_id)
    WHERE a.tenant_id = :tenant AND a.subject_kind = 'deal'
        AND a.subject_id = ANY(CAST(:deals AS text[]))""")
"""In a sandbox all is known when it comes about."""


async def alerts_of(tx: AsyncConnection, tenant_id: str, deals: Collection[str]) -> list[DealAlert]:
    """Every alert that these deals ever had, retracted ones included."""
    rows = await tx.execute(_OF_DEALS, {"tenant": tenant_id, "deals": list(deals)})
    return [_alert(row) for row in rows.mappings()]


def _alert(row: Mapping[Any, Any]) -> DealAlert:
    return DealAlert(
        alert_id=str(row["alert_id"]),
        deal_id=row["subject_id"],
        detected_at=row["detected_at"],
        claim=Claim(
            row["started_at"], row["resolved_at"], row["resolution"],
            (row["start_source"], row["start_event_id"]),
        ),
        earlier=[_earlier(correction) for correction in orjson.loads(row["corrections"])],
        ended_known=row["ended_known"],
        acknowledged_at=row["acknowledged_at"],
        texts={name: row[name] for name in _TEXTS},
    )  # fmt: skip


def _earlier(correction: Mapping[str, Any]) -> tuple[datetime, Claim]:
    clock, end = correction["evidence"]["clock"], correction["resolved_at"]
    claim = Claim(
        datetime.fromisoformat(correction["started_at"]),
        end and datetime.fromisoformat(end),
        correction["resolution"],
        (clock["start_event_source"], correction["start_event_id"]),
    )
    return datetime.fromisoformat(correction["at"]), claim
