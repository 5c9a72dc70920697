"""A deal's activities: done ones as aggregates, planned ones until they are done or cancelled.

What a reconciliation tells (`retold`) gives way to what was told otherwise: by its `activity_id` it
counts only while nothing else says that the activity is done.

The funnel folds deals with it, alerts their timelines. Pure.
"""

from bisect import bisect_left, bisect_right, insort
from datetime import datetime
from typing import NamedTuple

from libs.common.contracts.events import ActivityData

DONE = ("activity.logged", "activity.completed")
_TOUCHES = ("call", "email", "meeting", "visit", "demo")


class Activity(NamedTuple):
    """What is known of a deal's activities at an instant."""

    first_activity_at: datetime | None = None
    last_activity_at: datetime | None = None
    last_activity_kind: str | None = None
    last_customer_touch_at: datetime | None = None
    next_planned_at: datetime | None = None
    activity_count: int = 0


class _Ahead:
    """The times of what is planned, in order, so that each question costs a bisection."""

    __slots__ = ("_times",)
    planned: dict[str, datetime]

    def __init__(self) -> None:
        self._times: list[datetime] | None = None
        """`None` until somebody asks."""

    def _after(self, instant: datetime | None) -> datetime | None:
        if self._times is None:
            self._times = sorted(self.planned.values())
        i = 0 if instant is None else bisect_right(self._times, instant)
        return self._times[i] if i < len(self._times) else None

    def _replace(self, old: datetime | None, new: datetime | None) -> None:
        if self._times is None:
            return
        if old is not None:
            del self._times[bisect_left(self._times, old)]
        if new is not None:
            insort(self._times, new)


class Activities(_Ahead):
    """Mutable aggregates inside one fold; events may come in total order only."""

    __slots__ = (
        "count", "done", "first_at", "last_at", "last_kind", "planned", "retold", "touch_at",
    )  # fmt: skip
    KEPT = ("count", "first_at", "last_at", "last_kind", "planned", "retold", "touch_at")
    """What is enough to go on from, for all but what is retold and merges: these ask `done`."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.done: set[str] = set()
        """The ids of all that is done."""
        self.retold: set[str] = set()
        """Those of them of which only reconciliations tell."""
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self.last_kind: str | None = None
        self.touch_at: datetime | None = None
        self.planned: dict[str, datetime] = {}

    def apply(
        self, event_type: str, at: datetime, data: ActivityData, *, retold: bool = False
    ) -> None:
        if event_type == "activity.scheduled":
            time = data.scheduled_for or at
            self._replace(self.planned.get(data.activity_id), time)
            self.planned[data.activity_id] = time
            return
        self._replace(self.planned.pop(data.activity_id, None), None)
        if event_type in DONE and not (retold and data.activity_id in self.done):
            self._count(data.activity_id, retold)
            self._done(at, data)

    def _count(self, activity_id: str, retold: bool) -> None:
        """What only a reconciliation told so far has its place taken."""
        self.done.add(activity_id)
        if retold:
            self.retold.add(activity_id)
        elif activity_id in self.retold:
            self.retold.remove(activity_id)
            return
        self.count += 1

    def _done(self, at: datetime, data: ActivityData) -> None:
        self.first_at = self.first_at or at
        self.last_at, self.last_kind = at, data.kind
        if _is_customer_touch(data):
            self.touch_at = at

    def absorb(self, other: "Activities") -> None:
        """Add a merged deal's activities of all time."""
        self._unite(other)
        self.first_at = _least(self.first_at, other.first_at)
        self.touch_at = _greatest(self.touch_at, other.touch_at)
        self.planned |= other.planned
        self._times = None
        if other.last_at is not None and (self.last_at is None or other.last_at > self.last_at):
            self.last_at, self.last_kind = other.last_at, other.last_kind

    def _unite(self, other: "Activities") -> None:
        twice = (self.retold & other.done) | (other.retold & self.done)
        self.count += other.count - len(twice)
        told = (self.done - self.retold) | (other.done - other.retold)
        self.retold = (self.retold | other.retold) - told
        self.done |= other.done

    def at(self, instant: datetime | None) -> Activity:
        """The aggregates, with the next planned activity after `instant`."""
        return Activity(
            self.first_at,
            self.last_at,
            self.last_kind,
            self.touch_at,
            self._after(instant),
            self.count,
        )


def _is_customer_touch(data: ActivityData) -> bool:
    """A person reached the customer or the other way round; system writes never qualify."""
    return data.kind in _TOUCHES and data.direction != "internal" and not data.automated


def _least(a: datetime | None, b: datetime | None) -> datetime | None:
    return min((t for t in (a, b) if t is not None), default=None)


def _greatest(a: datetime | None, b: datetime | None) -> datetime | None:
    return max((t for t in (a, b) if t is not None), default=None)
