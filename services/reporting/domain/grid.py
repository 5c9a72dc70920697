"""The rows of an answer: periods along one side, keys along the other. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from libs.common.measures.errors import MeasureRefused
from libs.common.measures.periods import Calendar, Interval, Period, enclosing, periods

MAX_ROWS = 20_000
Key = tuple[str | None, ...]
Seen = tuple[datetime, datetime]
"""The earliest and the latest of what is counted."""


class Ranged(Protocol):
    """A question about a stretch of time; either end may be left open."""

    @property
    def start(self) -> datetime | None: ...

    @property
    def end(self) -> datetime | None: ...


def cut(
    asked: Ranged, interval: Interval, calendar: Calendar, seen: Seen | None
) -> tuple[Period, ...] | None:
    """The periods to count in: those of the asked time; an end not asked for is where deals are."""
    if interval == "none":
        return None
    start, end = asked.start, asked.end
    if seen and start is None:
        start = enclosing(calendar, interval, seen[0]).start
    if seen and end is None:
        end = enclosing(calendar, interval, seen[1]).end
    return periods(calendar, interval, start, end) if start and end else ()


def trimmed(
    asked: Ranged, found: Sequence[Period] | None, filled: set[int]
) -> list[tuple[int, Period | None]]:
    """Numbered periods, less empty ones at an end that nobody asked for."""
    if found is None:
        return [(0, None)]
    first = 1 if asked.start else min(filled, default=1)
    last = len(found) if asked.end else max(filled, default=0)
    return [(number, found[number - 1]) for number in range(first, last + 1)]


def refuse_too_many(rows: int) -> None:
    if rows > MAX_ROWS:
        raise MeasureRefused("group_by", "too_many_rows", f"more than {MAX_ROWS} rows")


def nulls_last(key: Key) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, value or "") for value in key)
