"""What alerts publishes: each record of an alert's life, and the latest state of each alert.

Both topics carry the alert as it then is; `version` counts an alert's records from 1. Readers
ignore unknown fields; the writer builds these models, so it can write no other.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from libs.common.contracts.deals import RecordData
from libs.common.contracts.values import Count, Id, Instant, Text

AlertState = Literal["pending", "firing", "acknowledged", "snoozed", "resolved"]
Resolution = Literal["cleared", "manual", "superseded", "retracted"]
SegmentKind = Literal["working", "off", "holiday", "leave", "paused"]
Seconds = Annotated[int, Field(strict=True)]


class Subject(RecordData):
    """What an alert is about."""

    type: Literal["deal", "lead", "account", "metric"]
    id: Id


class Segment(RecordData):
    """A stretch of a clock's time and what it counted as."""

    from_: Annotated[Instant, Field(alias="from")]
    to: Instant
    kind: SegmentKind
    model_config = ConfigDict(
        serialize_by_alias=True, validate_by_name=True, validate_by_alias=True
    )


class ClockEvidence(RecordData):
    """The violated clock; `limit` and `offset` are ISO 8601 durations."""

    field: Text
    start: Instant
    start_event_id: Text
    start_event_source: Text
    limit: Text
    offset: Text
    due_at: Instant
    elapsed_seconds: Seconds
    segments: list[Segment]


class Evidence(RecordData):
    """Why the alert is: the clock, the facts at its start, and what would have met it."""

    clock: ClockEvidence
    facts: dict[str, Any]
    calendar_version: Count | None = None
    counterfactual: Text | None = None


class Correction(RecordData):
    """What the alert said before later facts changed it at `at`."""

    at: Instant
    started_at: Instant
    resolved_at: Instant | None = None
    resolution: Resolution | None = None
    start_event_id: Text
    evidence: dict[str, Any]


class Alert(RecordData):
    """An alert; the same shape that `GET /v1/alerts/{id}` answers.

    `corrections` are the first and the last ones, at most 50 and fewer where they are long;
    `corrections_omitted` counts those in between.
    """

    id: Id
    rule_id: Id
    rule_version: Count
    rule_name: Text
    subject: Subject
    episode: Count
    state: AlertState
    stage: Literal["warning", "breach"]
    severity: Literal["info", "warning", "critical"]
    labels: dict[str, str] = Field(default_factory=dict)
    summary: str | None = None
    started_at: Instant
    detected_at: Instant
    resolved_at: Instant | None = None
    resolution: Resolution | None = None
    corrections: list[Correction] = Field(default_factory=list)
    corrections_omitted: Count = 0
    late: bool = False
    suppressed_by: list[str] = Field(default_factory=list)
    digest_id: Id | None = None
    run_id: Id | None = None
    acknowledged_at: Instant | None = None
    acknowledged_by: Id | None = None
    lease_until: Instant | None = None
    evidence: Evidence
    version: Count


class AlertRecord(RecordData):
    """The value of every record of an alert."""

    alert_id: Id
    version: Count
    alert: Alert


class AlertFired(AlertRecord):
    """A violation began at the record's `ce_time`; `detected_at` says when it was seen."""

    event_type: ClassVar[str] = "alert.fired"


class AlertEscalated(AlertRecord):
    """A playbook went on to its next step."""

    event_type: ClassVar[str] = "alert.escalated"


class AlertAcknowledged(AlertRecord):
    """Somebody took the alert on."""

    event_type: ClassVar[str] = "alert.acknowledged"


class AlertSnoozed(AlertRecord):
    """Somebody put the alert off."""

    event_type: ClassVar[str] = "alert.snoozed"


class AlertResolved(AlertRecord):
    """The violation ended at the record's `ce_time`."""

    event_type: ClassVar[str] = "alert.resolved"


class AlertCorrected(AlertRecord):
    """Later facts moved the alert, gave it another end, or retracted it."""

    event_type: ClassVar[str] = "alert.corrected"


class AlertLatest(AlertRecord):
    """The latest state of an alert; a record without a value forgets it."""

    event_type: ClassVar[str] = "alert.state"


EVENTS: dict[str, type[AlertRecord]] = {
    model.event_type: model
    for model in (
        AlertFired, AlertEscalated, AlertAcknowledged, AlertSnoozed, AlertResolved, AlertCorrected,
    )
}  # fmt: skip
"""The records of `headway.alerts.events.v1` by `ce_type`."""
STATES: dict[str, type[AlertRecord]] = {AlertLatest.event_type: AlertLatest}
"""Those of `headway.alerts.state.v1`."""
