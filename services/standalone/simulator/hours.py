"""When people work: weekdays, office hours of one zone, quiet days at the turn of the year."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

ZONE = "Europe/Berlin"
_ZONE = ZoneInfo(ZONE)
_OPENS, _CLOSES = 8, 18
_SHARES = (4, 9, 12, 11, 4, 6, 10, 11, 8, 4)  # of a day's work, for each hour from opening on


def is_workday(day: date) -> bool:
    """Monday to Friday, except from 24 December to 1 January."""
    quiet = (day.month, day.day) >= (12, 24) or (day.month, day.day) == (1, 1)
    return day.weekday() < 5 and not quiet


def workday_from(day: date) -> date:
    """The day itself, or the next one on which people work."""
    while not is_workday(day):
        day += timedelta(days=1)
    return day


def workdays(first: date, until: date) -> Iterator[date]:
    """Every working day of [first, until)."""
    for offset in range((until - first).days):
        if is_workday(day := first + timedelta(days=offset)):
            yield day


def moment(rng: Random, day: date) -> datetime:
    """A second of office hours on that day, with the rhythm of one: busy mornings, a lunch dip."""
    hour = _OPENS + rng.choices(range(_CLOSES - _OPENS), _SHARES)[0]
    local = datetime.combine(day, time(hour), _ZONE)
    return local.astimezone(UTC) + timedelta(seconds=rng.randrange(3600))


def later(rng: Random, start: datetime, days: float) -> datetime:
    """A working moment about `days` after `start`, always at least a minute after it."""
    day = workday_from((start + timedelta(days=days)).astimezone(_ZONE).date())
    at = moment(rng, day)
    if at > start + timedelta(minutes=1):
        return at
    return _soon(rng, start)


def _soon(rng: Random, start: datetime) -> datetime:
    """Minutes later on the same day; at closing time, the next working morning."""
    at = start + timedelta(seconds=rng.randrange(90, 3600))
    local = at.astimezone(_ZONE)
    if is_workday(local.date()) and _OPENS <= local.hour < _CLOSES:
        return at
    ahead = 0 if local.hour < _OPENS else 1
    return moment(rng, workday_from(local.date() + timedelta(days=ahead)))


def local_date(at: datetime) -> date:
    """The day in the team's zone."""
    return at.astimezone(_ZONE).date()
