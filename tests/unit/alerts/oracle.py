"""Verdicts anew, hour by hour, from what a deal's state says of itself: no clocks, no visits.

An hour is violated if the field that starts the rule's clock, as the state of that hour shows it,
lies so far back that the clock is due. Where the scope has no answer, it is as it was in the hour
before, if that was of the same clock. It takes plain values and knows nothing of the product.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

State = Mapping[str, Any]
"""A deal as of an hour: `status`, and the start fields and `next_planned_at` in hours."""


@dataclass(frozen=True)
class Watch:
    """A rule: due `wait` hours after `field`.

    `met_by`: what meets its clocks, each with the hour in which it happened and the one from which
    it is the deal's: a merge brings it later. `created`: the deal's creation as of each hour.
    """

    field: str
    wait: int
    scope: Callable[[State], bool | None]
    met_by: Sequence[tuple[int, int]]
    created: Sequence[int]


@dataclass(frozen=True)
class Stretch:
    """`[since, until)` in hours (`None`: still), and the start of its clock."""

    start: int
    since: int
    until: int | None


Start = tuple[int, bool]
"""When a clock started, and whether the creation stands in for a start field that is null."""


def stretches(watch: Watch, hours: Sequence[State | None]) -> list[Stretch]:
    """The violated stretches of a deal's hours."""
    found: list[Stretch] = []
    running: tuple[Start, int] | None = None
    for hour, state in enumerate(hours):
        before = running[0] if running else None
        start = _violated(watch, state, hour, before) if state else None
        if running is not None and start != running[0]:
            found.append(Stretch(running[0][0], running[1], hour))
            running = None
        if running is None and start is not None:
            running = start, hour
    return found + ([Stretch(running[0][0], running[1], None)] if running else [])


def _violated(watch: Watch, state: State, hour: int, before: Start | None) -> Start | None:
    """The start of the clock that is violated in this hour; `before`: in the hour before."""
    start = _start(watch, state, hour)
    due = hour >= max(start, start + watch.wait)
    gone = state["status"] in ("deleted", "merged")
    met = any(start <= happened and known <= hour for happened, known in watch.met_by)
    if not due or gone or met or _excused(watch, state, hour):
        return None
    clock, inside = (start, state[watch.field] is None), watch.scope(state)
    return clock if inside or (inside is None and clock == before) else None


def _start(watch: Watch, state: State, hour: int) -> int:
    """The creation as of the hour stands in for a field without a value."""
    shown = None if watch.field == "created_at" else state[watch.field]
    return watch.created[hour] if shown is None else int(shown)


def _excused(watch: Watch, state: State, hour: int) -> bool:
    planned = state["next_planned_at"]
    return watch.field == "last_activity_at" and planned is not None and planned > hour
