"""`alerts.alerts`: rows to alerts and back."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from libs.common.db.bulk import insert, replace, transposed
from services.alerts.domain.alert import Alert

COLUMNS = {
    "tenant_id": "text", "alert_id": "uuid", "rule_id": "text", "subject_kind": "text",
    "subject_id": "text", "state": "text", "severity": "text", "started_at": "timestamptz",
    "detected_at": "timestamptz", "resolved_at": "timestamptz", "rule_version": "int",
    "rule_name": "text", "episode": "int", "start_source": "text", "start_event_id": "text",
    "turn": "int", "clock_start": "timestamptz", "clock_stop": "timestamptz",
    "resolution": "text", "late": "boolean", "digest_id": "uuid", "owner_id": "text",
    "labels": "json", "summary": "text", "evidence": "json", "corrections": "json",
    "corrections_omitted": "int",
    "acknowledged_at": "timestamptz", "acknowledged_by": "text", "lease_until": "timestamptz",
    "record_version": "int", "ended_at": "timestamptz", "end_known_at": "timestamptz",
}  # fmt: skip
READ = ", ".join(f"a.{name}" for name in COLUMNS)
_ENDS = """, ended_at = CASE WHEN alerts.record_version = EXCLUDED.record_version
        THEN alerts.ended_at ELSE EXCLUDED.ended_at END,
    end_known_at = CASE WHEN alerts.resolved_at = EXCLUDED.resolved_at
            AND alerts.resolution = EXCLUDED.resolution
        THEN COALESCE(alerts.end_known_at, alerts.ended_at) ELSE EXCLUDED.end_known_at END"""
"""What nobody is told of needs no tombstone; an end is known since it was told first, until it is
taken back. A process of before `end_known_at` writes `ended_at` alone."""
_REPLACED = [name for name in COLUMNS if name not in ("ended_at", "end_known_at")]
_UPSERT = insert("alerts.alerts", COLUMNS) + replace(_REPLACED, ("tenant_id", "alert_id")) + _ENDS


async def write(conn: Any, tenant_id: str, alerts: Sequence[Alert], now: datetime) -> None:
    """Insert or replace; one that ended notes when that was told."""
    rows = [_row(tenant_id, alert, now) for alert in alerts]
    if rows:
        await conn.execute(_UPSERT, *transposed(rows, len(COLUMNS)))


def _row(tenant_id: str, alert: Alert, now: datetime) -> tuple[Any, ...]:
    facts, ended = alert.evidence.get("facts", {}), None if alert.is_open else now
    return (
        tenant_id, UUID(alert.alert_id), alert.rule_id, "deal", alert.subject_id, alert.state,
        alert.severity, alert.started_at, alert.detected_at, alert.resolved_at,
        alert.rule_version, alert.rule_name, alert.episode, *alert.key, *alert.clock,
        alert.resolution, alert.late, alert.digest_id and UUID(alert.digest_id),
        facts.get("owner_id"), _json(dict(alert.labels)), alert.summary, _json(alert.evidence),
        _json(list(alert.corrections)), alert.corrections_omitted, alert.acknowledged_at,
        alert.acknowledged_by, alert.lease_until, alert.version, ended, ended,
    )  # fmt: skip


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()


def alert_of(row: Mapping[str, Any]) -> Alert:
    """The alert of a record with all columns; instants inside evidence stay texts."""
    return Alert(
        alert_id=str(row["alert_id"]),
        rule_id=row["rule_id"],
        rule_version=row["rule_version"],
        rule_name=row["rule_name"],
        subject_id=row["subject_id"],
        episode=row["episode"],
        key=(row["start_source"], row["start_event_id"], row["turn"]),
        clock=(row["clock_start"], row["clock_stop"]),
        state=row["state"],
        severity=row["severity"],
        started_at=row["started_at"],
        detected_at=row["detected_at"],
        evidence=orjson.loads(row["evidence"]),
        labels=orjson.loads(row["labels"]),
        summary=row["summary"],
        resolved_at=row["resolved_at"],
        resolution=row["resolution"],
        corrections=orjson.loads(row["corrections"]),
        corrections_omitted=row["corrections_omitted"],
        late=row["late"],
        digest_id=str(row["digest_id"]) if row["digest_id"] else None,
        acknowledged_at=row["acknowledged_at"],
        acknowledged_by=row["acknowledged_by"],
        lease_until=row["lease_until"],
        version=row["record_version"],
    )


async def of_subjects(
    conn: Any, tenant_id: str, subjects: Collection[str]
) -> dict[tuple[str, str], list[Alert]]:
    """All alerts of some subjects, retracted ones included, by subject and rule, oldest first."""
    rows = await conn.fetch(
        f"""SELECT {READ} FROM alerts.alerts a
        WHERE a.tenant_id = $1 AND a.subject_kind = 'deal' AND a.subject_id = ANY($2)
        ORDER BY a.subject_id, a.rule_id, a.episode""",  # noqa: S608  # constants of this module
        tenant_id,
        list(subjects),
    )
    found: dict[tuple[str, str], list[Alert]] = {}
    for row in rows:
        found.setdefault((row["subject_id"], row["rule_id"]), []).append(alert_of(row))
    return found
