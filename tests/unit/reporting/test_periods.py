"""Period borders: zones with and without midnight, week starts, fiscal years, cut ends."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.measures.errors import MeasureRefused
from libs.common.measures.periods import Calendar, Interval, enclosing, periods

BERLIN = Calendar(ZoneInfo("Europe/Berlin"))


def utc(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def labels(calendar: Calendar, interval: Interval, start: datetime, end: datetime) -> list[str]:
    return [period.label for period in periods(calendar, interval, start, end)]


def test_days_follow_the_clock_change_of_the_zone() -> None:
    found = periods(BERLIN, "day", utc(2017, 3, 24, 23), utc(2017, 3, 26, 22))
    assert [(p.label, p.start, p.end) for p in found] == [
        ("2017-03-25", utc(2017, 3, 24, 23), utc(2017, 3, 25, 23)),
        ("2017-03-26", utc(2017, 3, 25, 23), utc(2017, 3, 26, 22)),
    ]


def test_a_swallowed_midnight_begins_at_the_change() -> None:
    calendar = Calendar(ZoneInfo("America/Sao_Paulo"))
    assert calendar.midnight(date(2017, 10, 15)) == utc(2017, 10, 15, 3)
    found = periods(calendar, "day", utc(2017, 10, 14, 3), utc(2017, 10, 16, 2))
    assert [p.end - p.start for p in found] == [timedelta(hours=24), timedelta(hours=23)]


def test_a_day_that_a_zone_left_out_is_no_period() -> None:
    calendar = Calendar(ZoneInfo("Pacific/Apia"))
    found = labels(calendar, "day", utc(2011, 12, 29, 10), utc(2011, 12, 31, 10))
    assert found == ["2011-12-29", "2011-12-31"]


def test_ends_are_cut_to_the_asked_time() -> None:
    found = periods(BERLIN, "month", utc(2017, 1, 15), utc(2017, 3, 1))
    assert [p.label for p in found] == ["2017-01", "2017-02", "2017-03"]
    assert (found[0].start, found[-1].end) == (utc(2017, 1, 15), utc(2017, 3, 1))


@pytest.mark.parametrize(
    ("start", "first", "spelled"),
    [
        ("monday", date(2016, 12, 26), ["2016-W52", "2017-W01"]),
        ("sunday", date(2017, 1, 1), ["2017-W01", "2017-W02"]),
        ("saturday", date(2016, 12, 31), ["2017-W01", "2017-W02"]),
    ],
)
def test_weeks_begin_on_the_tenants_day(start: str, first: date, spelled: list[str]) -> None:
    calendar = Calendar(ZoneInfo("UTC"), week_start=start)
    begin = enclosing(calendar, "week", utc(2017, 1, 1, 12)).start
    assert begin.date() == first
    assert labels(calendar, "week", begin, begin + timedelta(days=14)) == spelled


def test_fiscal_quarters_and_years_are_named_after_their_start() -> None:
    calendar = Calendar(ZoneInfo("UTC"), fiscal_year_start_month=4)
    found = periods(calendar, "quarter", utc(2017, 2, 1), utc(2017, 8, 1))
    assert [(p.label, p.start) for p in found] == [
        ("2016-Q4", utc(2017, 2, 1)),
        ("2017-Q1", utc(2017, 4, 1)),
        ("2017-Q2", utc(2017, 7, 1)),
    ]
    assert labels(calendar, "year", utc(2017, 3, 31), utc(2017, 4, 2)) == ["2016", "2017"]


def test_too_many_periods_and_impossible_dates_are_refused() -> None:
    with pytest.raises(MeasureRefused, match="periods") as many:
        periods(BERLIN, "day", utc(2000, 1, 1), utc(2017, 1, 1))
    assert many.value.code == "too_many_periods"
    with pytest.raises(MeasureRefused, match="year 1"):
        periods(BERLIN, "day", utc(9998, 6, 1), utc(9999, 1, 1))
    assert periods(BERLIN, "day", utc(2017, 1, 1), utc(2017, 1, 1)) == ()


@given(
    st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu"]),
    st.sampled_from(["day", "week", "month", "quarter", "year"]),
    st.sampled_from(["monday", "sunday", "saturday"]),
    st.integers(1, 12),
    st.integers(0, 24 * 365 * 15).map(lambda hours: utc(2005, 1, 1) + timedelta(hours=hours)),
    st.integers(1, 24 * 400),
)
def test_periods_tile_the_asked_time(
    zone: str, interval: str, week: str, month: int, start: datetime, hours: int
) -> None:
    calendar = Calendar(ZoneInfo(zone), week, month)
    end = start + timedelta(hours=hours)
    found = periods(calendar, cast(Interval, interval), start, end)
    assert (found[0].start, found[-1].end) == (start, end)
    assert all(a.end == b.start for a, b in pairwise(found))
    assert all(period.start < period.end for period in found)
    assert len({period.label for period in found}) == len(found)
