"""An alert: one violation of one rule by one subject, and the records of its life.

Transitions are pure: each takes an alert and gives the next, with its version counted up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from services.alerts.domain.corrections import kept
from services.alerts.domain.rule import Severity
from services.alerts.domain.verdicts import Violation

Key = tuple[str, str, int]
"""Source and id of the clock-start event, and the turn: how many alerts of that clock came before
this one, at its creation. Never renumbered: late facts may bring earlier stretches."""
AlertState = Literal["firing", "acknowledged", "resolved"]
Resolution = Literal["cleared", "superseded", "retracted"]
RecordType = Literal["alert.fired", "alert.acknowledged", "alert.resolved", "alert.corrected"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert row; `key` is what its episode is known by, `version` counts its records.

    `clock` is `[start, stop)` of the violated clock; `corrections` what it said before, the first
    and the last of it, without as many in between as `corrections_omitted` counts.
    """

    alert_id: str
    rule_id: str
    rule_version: int
    rule_name: str
    subject_id: str
    episode: int
    key: Key
    clock: tuple[datetime, datetime | None]
    state: AlertState
    severity: Severity
    started_at: datetime
    detected_at: datetime
    evidence: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    summary: str | None = None
    resolved_at: datetime | None = None
    resolution: Resolution | None = None
    corrections: Sequence[Mapping[str, Any]] = ()
    corrections_omitted: int = 0
    late: bool = False
    digest_id: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    lease_until: datetime | None = None
    version: int = 0

    @property
    def is_open(self) -> bool:
        return self.state != "resolved"


@dataclass(frozen=True, slots=True)
class Told:
    """A record to publish: the alert as it then is; `at` is the instant that the record is of."""

    type: RecordType
    at: datetime
    alert: Alert


def fired(alert: Alert) -> Told:
    """The first record of an alert."""
    return Told("alert.fired", alert.started_at, replace(alert, version=1))


def cleared(alert: Alert, found: Violation, at: datetime) -> Told:
    """Over since `at`, by what the facts say."""
    ended = replace(alert, clock=found.span)
    return Told("alert.resolved", at, _next(ended, *_ending(at, _how(found))))


def superseded(alert: Alert, at: datetime) -> Told:
    """Its rule is gone, or says something else by now."""
    return Told("alert.resolved", at, _next(alert, *_ending(at, "superseded")))


def retracted(alert: Alert, now: datetime) -> Told:
    """Later facts say that it never stood: it ends as it began."""
    ended = _next(alert, *_ending(alert.started_at, "retracted"))
    return Told("alert.corrected", alert.started_at, _noted(alert, ended, now))


def corrected(alert: Alert, found: Violation, key: Key, texts: "Texts", now: datetime) -> Told:
    """Later facts give it another start, another clock (and so another key), or another end."""
    moved = replace(
        alert,
        key=key,
        clock=found.span,
        started_at=found.started_at,
        evidence=texts.evidence,
        labels=texts.labels,
        summary=texts.summary,
    )
    if found.cleared_at is not None:
        moved = replace(moved, **dict(_ending(found.cleared_at, _how(found))))
    elif not alert.is_open:
        moved = replace(moved, state="firing", resolved_at=None, resolution=None)
    return Told("alert.corrected", found.started_at, _noted(alert, _next(moved), now))


def acknowledged(alert: Alert, by: str, at: datetime, lease_until: datetime | None) -> Told:
    """Somebody took it on; the lease says for how long."""
    taken = _next(
        alert,
        ("state", "acknowledged"),
        ("acknowledged_at", at),
        ("acknowledged_by", by),
        ("lease_until", lease_until),
    )
    return Told("alert.acknowledged", at, taken)


@dataclass(frozen=True, slots=True)
class Texts:
    """What an alert says: evidence, labels, summary."""

    evidence: Mapping[str, Any]
    labels: Mapping[str, str]
    summary: str | None


Field = tuple[str, Any]


def _how(found: Violation) -> Resolution:
    return "superseded" if found.superseded else "cleared"


def _ending(at: datetime, how: Resolution) -> tuple[Field, ...]:
    return ("state", "resolved"), ("resolved_at", at), ("resolution", how)


def _next(alert: Alert, *fields: Field) -> Alert:
    return _bounded(replace(alert, version=alert.version + 1, **dict(fields)))


def _bounded(alert: Alert) -> Alert:
    """With no more corrections than a record has room for."""
    said = kept(alert.corrections)
    omitted = alert.corrections_omitted + len(alert.corrections) - len(said)
    return replace(alert, corrections=said, corrections_omitted=omitted)


def _noted(before: Alert, after: Alert, now: datetime) -> Alert:
    """What the alert said until now."""
    said = {
        "at": now,
        "started_at": before.started_at,
        "resolved_at": before.resolved_at,
        "resolution": before.resolution,
        "start_event_id": before.key[1],
        "evidence": before.evidence,
    }
    return _bounded(replace(after, corrections=(*after.corrections, said)))
