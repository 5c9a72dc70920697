"""The rows of an answer: which periods are counted in, and which are listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.measures.errors import MeasureRefused
from libs.common.measures.periods import Calendar, Interval, Period
from services.reporting.domain import grid

TOKYO = Calendar(ZoneInfo("Asia/Tokyo"))


@dataclass(frozen=True)
class Asked:
    start: datetime | None = None
    end: datetime | None = None


def utc(month: int, day: int, hour: int = 0) -> datetime:
    return datetime(2017, month, day, hour, tzinfo=UTC)


def labels(found: Sequence[Period] | None) -> list[str]:
    return [period.label for period in found or ()]


SEEN = (utc(1, 31, 23), utc(4, 2))


def test_without_an_interval_there_is_one_row_and_no_period() -> None:
    assert grid.cut(Asked(utc(1, 1), utc(2, 1)), "none", TOKYO, None) is None
    assert grid.trimmed(Asked(), None, set()) == [(0, None)]


def test_open_ends_reach_to_what_was_seen_in_whole_periods() -> None:
    found = grid.cut(Asked(), "month", TOKYO, SEEN)
    assert labels(found) == ["2017-02", "2017-03", "2017-04"]
    assert found is not None
    assert (found[0].start, found[-1].end) == (utc(1, 31, 15), utc(4, 30, 15))


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (Asked(start=utc(1, 10)), ["2017-01", "2017-02", "2017-03", "2017-04"]),
        (Asked(end=utc(6, 10)), ["2017-02", "2017-03", "2017-04", "2017-05", "2017-06"]),
        (Asked(utc(5, 1), utc(6, 1)), ["2017-05", "2017-06"]),
    ],
)
def test_asked_ends_hold(asked: Asked, wanted: list[str]) -> None:
    assert labels(grid.cut(asked, "month", TOKYO, SEEN)) == wanted


@pytest.mark.parametrize("asked", [Asked(), Asked(start=utc(1, 1)), Asked(end=utc(1, 1))])
def test_open_ends_without_anything_seen_give_no_periods(asked: Asked) -> None:
    assert grid.cut(asked, "month", TOKYO, None) == ()
    assert grid.trimmed(asked, (), set()) == []


def test_empty_periods_are_left_out_only_where_nobody_asked_for_them() -> None:
    found = grid.cut(Asked(utc(1, 1), utc(5, 1)), "month", Calendar(ZoneInfo("UTC")), None)
    listed = [
        [number for number, _ in grid.trimmed(asked, found, {2, 3})]
        for asked in (Asked(utc(1, 1), utc(5, 1)), Asked(utc(1, 1)), Asked(end=utc(5, 1)), Asked())
    ]
    assert listed == [[1, 2, 3, 4], [1, 2, 3], [2, 3, 4], [2, 3]]


def test_answers_have_a_largest_size() -> None:
    grid.refuse_too_many(grid.MAX_ROWS)
    with pytest.raises(MeasureRefused) as refused:
        grid.refuse_too_many(grid.MAX_ROWS + 1)
    assert (refused.value.parameter, refused.value.code) == ("group_by", "too_many_rows")


def test_keys_without_a_value_come_last() -> None:
    keys: list[grid.Key] = [(None, "b"), ("b", None), ("", "z"), ("b", "a")]
    assert sorted(keys, key=grid.nulls_last) == [("", "z"), ("b", "a"), ("b", None), (None, "b")]


INSTANTS = st.integers(0, 24 * 400).map(lambda hours: utc(1, 1) + timedelta(hours=hours))


@given(
    st.sampled_from(["Asia/Tokyo", "America/Sao_Paulo", "Pacific/Apia"]),
    st.sampled_from(["day", "week", "month", "quarter", "year"]),
    st.none() | INSTANTS,
    st.none() | INSTANTS,
    st.lists(INSTANTS, min_size=1),
)
def test_what_was_counted_lies_in_exactly_one_listed_period(
    zone: str, interval: str, start: datetime | None, end: datetime | None, events: list[datetime]
) -> None:
    """As SQL does: events within the asked time, periods by number from 1."""
    asked = Asked(start, end)
    counted = [e for e in events if (not start or start <= e) and (not end or e < end)]
    seen = (min(counted), max(counted)) if counted else None
    calendar = Calendar(ZoneInfo(zone))
    found = grid.cut(asked, cast(Interval, interval), calendar, seen) or ()
    filled = {sum(period.start <= event for period in found) for event in counted}
    listed = [period for _, period in grid.trimmed(asked, found, filled) if period]
    assert all(a.end == b.start for a, b in pairwise(listed))
    assert all(sum(p.start <= event < p.end for p in listed) == 1 for event in counted)
    if start and end and start < end:
        assert (listed[0].start, listed[-1].end) == (start, end)
    elif listed and not start:
        assert any(listed[0].start <= event < listed[0].end for event in counted)
