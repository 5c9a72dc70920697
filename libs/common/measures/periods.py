"""Periods in a tenant's zone: where they begin and end, and how they are spelled.

A border is the local midnight that starts a period. Where a clock change swallows that midnight,
the border is the instant of the change; where it comes twice, the first one counts.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from libs.common.measures.errors import MeasureRefused

Interval = Literal["none", "day", "week", "month", "quarter", "year"]
INTERVALS: tuple[str, ...] = get_args(Interval)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MAX_PERIODS = 2000
_FIRST, _LAST = date(1, 1, 14), date(9998, 1, 1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """What decides where a period begins; a fiscal year is named after the year it starts in."""

    zone: ZoneInfo
    week_start: str = "monday"
    fiscal_year_start_month: int = 1

    def midnight(self, day: date) -> datetime:
        """The instant at which a local day begins."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def day_of(self, instant: datetime) -> date:
        """The local day of an instant."""
        return instant.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open stretch of time with its spelling; the ends may be cut by the asked range."""

    label: str
    start: datetime
    end: datetime


def periods(
    calendar: Calendar, interval: Interval, start: datetime, end: datetime
) -> tuple[Period, ...]:
    """All periods that touch `[start, end)`, the first and last cut to it. Never a hole."""
    if start >= end:
        return ()
    found: list[Period] = []
    for first, following in _days(calendar, interval, calendar.day_of(start)):
        if (begins := calendar.midnight(first)) >= end:
            return tuple(found)
        if len(found) == MAX_PERIODS:
            raise MeasureRefused(
                "interval", "too_many_periods", f"more than {MAX_PERIODS} periods; ask for fewer"
            )
        begins, ends = max(begins, start), min(calendar.midnight(following), end)
        if begins < ends:  # a day that a change of zone left out has no instants
            found.append(Period(_LABELS[interval](calendar, first), begins, ends))
    raise AssertionError("unreachable: days go on until the end")


def enclosing(calendar: Calendar, interval: Interval, instant: datetime) -> Period:
    """The whole period that an instant lies in."""
    first, following = next(_days(calendar, interval, calendar.day_of(instant)))
    label = _LABELS[interval](calendar, first)
    return Period(label, calendar.midnight(first), calendar.midnight(following))


def _days(calendar: Calendar, interval: Interval, day: date) -> Iterator[tuple[date, date]]:
    """First days of consecutive periods with the first day of the next, from the one with `day`."""
    if not _FIRST <= day < _LAST:
        raise MeasureRefused("from", "out_of_range", "dates go from year 1 to year 9997")
    first = _FLOORS[interval](calendar, day)
    while first < _LAST:
        following = _FLOORS[interval](calendar, first + _STEPS[interval])
        yield first, following
        first = following
    raise MeasureRefused("to", "out_of_range", "dates go from year 1 to year 9997")


def _day(_: Calendar, day: date) -> date:
    return day


def _week(calendar: Calendar, day: date) -> date:
    return day - timedelta(days=(day.weekday() - WEEKDAYS.index(calendar.week_start)) % 7)


def _month(_: Calendar, day: date) -> date:
    return day.replace(day=1)


def _months_into_year(calendar: Calendar, day: date) -> int:
    return (day.month - calendar.fiscal_year_start_month) % 12


def _back(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, 1)


def _quarter(calendar: Calendar, day: date) -> date:
    return _back(day, _months_into_year(calendar, day) % 3)


def _year(calendar: Calendar, day: date) -> date:
    return _back(day, _months_into_year(calendar, day))


def _week_label(_: Calendar, first: date) -> str:
    """The ISO week of the Thursday inside, so that any week start has unique names."""
    thursday = first + timedelta(days=(3 - first.weekday()) % 7)
    year, week, _day_of_week = thursday.isocalendar()
    return f"{year:04}-W{week:02}"


def _quarter_label(calendar: Calendar, first: date) -> str:
    number = _months_into_year(calendar, first) // 3 + 1
    return f"{_year(calendar, first).year:04}-Q{number}"


_FLOORS: Mapping[str, Callable[[Calendar, date], date]] = {
    "day": _day,
    "week": _week,
    "month": _month,
    "quarter": _quarter,
    "year": _year,
}
_STEPS = {
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=31),
    "quarter": timedelta(days=94),
    "year": timedelta(days=367),
}
_LABELS: Mapping[str, Callable[[Calendar, date], str]] = {
    "day": lambda _, first: first.isoformat(),
    "week": _week_label,
    "month": lambda _, first: f"{first.year:04}-{first.month:02}",
    "quarter": _quarter_label,
    "year": lambda _, first: f"{first.year:04}",
}
