"""What a list of deals is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.measures.periods import Calendar
from libs.common.measures.scope import Filters

SORTS = {
    "deal_id": "text",
    "name": "text",
    "amount": "numeric",
    "created_at": "timestamptz",
    "closed_at": "timestamptz",
    "stage_entered_at": "timestamptz",
    "expected_close_date": "date",
    "owner_id": "text",
    "stage_id": "text",
}
"""What lists may be sorted by, with the column's type. Deals without a value come last."""
NOW_ONLY = {"last_event_at": "timestamptz", "last_activity_at": "timestamptz"}
"""Sorts of the present state only: history keeps facts, not touches."""


@dataclass(frozen=True, slots=True)
class TenantTime:
    """A tenant's zone, its now, and up to when events show: a source's clock may be a bit ahead."""

    zone: str
    now: datetime
    shown_to: datetime


@dataclass(frozen=True, slots=True)
class At:
    """The two times of a read; neither means the present as it is kept."""

    valid_at: datetime | None = None
    known_at: datetime | None = None

    @property
    def present(self) -> bool:
        return self.valid_at is None and self.known_at is None

    def settled(self, now: datetime) -> "At":
        """The same question with its `valid_at`: the tenant's now where none was asked for."""
        return At(self.valid_at or now, self.known_at)


@dataclass(frozen=True, slots=True)
class DealQuestion:
    """Filters, order and instants. `ranges` may begin and end with days of the tenant's zone."""

    filters: Filters = field(default_factory=Filters)
    pipelines: tuple[str, ...] = ()
    idle_gte: timedelta | None = None
    ranges: Mapping[str, date | datetime] = field(default_factory=dict)
    at: At = field(default_factory=At)
    sort: tuple[tuple[str, bool], ...] = (("deal_id", False),)
    """`(column, descending)`, most significant first."""
    measured_at: datetime | None = None
    """Up to when `idle` and `in_stage` run; known once the question is settled."""

    def settled(self, time: TenantTime) -> "DealQuestion":
        """The question with its ranges as instants, and with its `valid_at` if it has a past."""
        calendar = Calendar(ZoneInfo(time.zone))
        within: dict[str, Any] = {
            name: at if isinstance(at, datetime) else calendar.midnight(at)
            for name, at in self.ranges.items()
        }
        return replace(
            self,
            filters=replace(self.filters, **within),
            ranges={},
            at=self.at if self.at.present else self.at.settled(time.shown_to),
            measured_at=self.at.valid_at or time.now,
        )
