"""Alerts in a deal's timeline: what each one said as of two instants.

A row keeps what is known today and, as corrections, what it said before each later fact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Claim:
    """When an alert says that its violation began and ended, and which event started the clock."""

    started_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    event: tuple[str, str]
    """`(source, id)`."""


@dataclass(frozen=True, slots=True)
class DealAlert:
    """An alert of one deal.

    `earlier` are `(until, claim)`, oldest first: what it said before it was corrected at `until`.
    `ended_known` is when the end that it claims now became known; `texts` is what never changes.
    """

    alert_id: str
    deal_id: str
    detected_at: datetime
    claim: Claim
    earlier: Sequence[tuple[datetime, Claim]]
    ended_known: datetime | None
    acknowledged_at: datetime | None
    texts: Mapping[str, Any]

    @property
    def known_at(self) -> datetime:
        """When the last of what it claims now became known."""
        corrected = (until for until, _ in self.earlier)
        return max(self.detected_at, self.ended_known or self.detected_at, *corrected)


@dataclass(frozen=True, slots=True)
class ShownAlert:
    """An alert as of two instants; an end that was not there or not known yet is left out."""

    alert: DealAlert
    claim: Claim
    state: str


def shown(alert: DealAlert, valid_at: datetime, known_at: datetime | None) -> ShownAlert | None:
    """`None` if the violation had not begun, or nobody knew of it; `known_at` `None` is today."""
    if known_at is not None and alert.detected_at > known_at:
        return None
    claim = _ended(alert, _claimed(alert, known_at), valid_at, known_at)
    if claim.started_at > valid_at:
        return None
    return ShownAlert(alert, claim, _state(alert, claim, valid_at, known_at))


def _claimed(alert: DealAlert, known_at: datetime | None) -> Claim:
    """What it said at `known_at`: the claim of the first correction that was yet to come."""
    if known_at is None:
        return alert.claim
    return next((claim for until, claim in alert.earlier if until > known_at), alert.claim)


def _ended(alert: DealAlert, claim: Claim, valid_at: datetime, known_at: datetime | None) -> Claim:
    """The claim without an end that lies ahead."""
    end, known = claim.resolved_at, _end_known(alert, claim)
    unknown = known_at is not None and known is not None and known > known_at
    if end is None or (end <= valid_at and not unknown):
        return claim
    return Claim(claim.started_at, None, None, claim.event)


def _end_known(alert: DealAlert, claim: Claim) -> datetime | None:
    """Since when the end that it claims is known: kept of today's, which corrections may have left
    as it was. When another was told is not kept: it counts as known when it came about."""
    known, today = alert.ended_known, alert.claim
    if claim is today:
        return known
    until = next(until for until, held in alert.earlier if held is claim)
    same = (claim.resolved_at, claim.resolution) == (today.resolved_at, today.resolution)
    return known if known is not None and same and known <= until else claim.resolved_at


def _state(alert: DealAlert, claim: Claim, valid_at: datetime, known_at: datetime | None) -> str:
    if claim.resolved_at is not None:
        return "resolved"
    taken, latest = alert.acknowledged_at, min(valid_at, known_at or valid_at)
    return "acknowledged" if taken is not None and taken <= latest else "firing"
