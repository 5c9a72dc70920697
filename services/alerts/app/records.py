"""What alerts publishes: each record of an alert's life, and the latest state of each alert."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from libs.common.contracts.alerts import AlertRecord
from libs.common.contracts.deals import to_json
from libs.common.contracts.envelope import Envelope, Origin, to_headers
from libs.common.contracts.topics import ALERT_EVENTS, ALERT_STATE
from libs.common.db.outbox import OutboxRow
from libs.common.ids import uuid5
from services.alerts.domain.alert import Alert, Told
from services.alerts.domain.reconcile import Moment

SOURCE = "/headway/alerts"


def shown(alert: Alert) -> dict[str, Any]:
    """An alert as clients see it; instants as values."""
    return {
        "id": alert.alert_id,
        "rule_id": alert.rule_id,
        "rule_version": alert.rule_version,
        "rule_name": alert.rule_name,
        "subject": {"type": "deal", "id": alert.subject_id},
        "episode": alert.episode,
        "state": alert.state,
        "stage": "breach",
        "severity": alert.severity,
        "labels": dict(alert.labels),
        "summary": alert.summary,
        "started_at": alert.started_at,
        "detected_at": alert.detected_at,
        "resolved_at": alert.resolved_at,
        "resolution": alert.resolution,
        "corrections": list(alert.corrections),
        "corrections_omitted": alert.corrections_omitted,
        "late": alert.late,
        "suppressed_by": [],
        "digest_id": alert.digest_id,
        "run_id": None,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_by": alert.acknowledged_by,
        "lease_until": alert.lease_until,
        "evidence": alert.evidence,
        "version": alert.version,
    }


def record_rows(tenant_id: str, told: Sequence[Told], moment: Moment) -> list[OutboxRow]:
    """The rows of both topics, in the order given."""
    origin: Origin = "backfill" if moment.brought else "live"
    return [row for record in told for row in _rows(tenant_id, record, moment.recorded, origin)]


def _rows(tenant_id: str, told: Told, recorded: datetime, origin: Origin) -> Iterator[OutboxRow]:
    alert = told.alert
    value = to_json(AlertRecord.model_validate(
        {"alert_id": alert.alert_id, "version": alert.version, "alert": shown(alert)}
    ))  # fmt: skip
    names = tenant_id, alert.alert_id, str(alert.version)
    for topic, type_, key in (
        (ALERT_EVENTS, told.type, alert.subject_id),
        (ALERT_STATE, "alert.state", alert.alert_id),
    ):
        envelope = Envelope(
            tenant_id=tenant_id,
            source=SOURCE,
            id=str(uuid5(*names, type_)),
            type=type_,
            occurred_at=told.at,
            recorded_at=recorded,
            data=b"",
            subject=alert.subject_id,
            origin=origin,
            correlation_id=alert.alert_id,
        )
        key_ = f"{tenant_id}:{key}".encode()
        yield OutboxRow(tenant_id, topic, key_, value, to_headers(envelope))


def tombstone(tenant_id: str, alert_id: str) -> OutboxRow:
    """An alert that ended long ago leaves the topic of states."""
    return OutboxRow(tenant_id, ALERT_STATE, f"{tenant_id}:{alert_id}".encode(), None, ())
