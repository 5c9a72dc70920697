"""ISO 8601 durations there and back."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.domain.durations import LONGEST, duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "value", "shortest"),
    [
        ("P30D", timedelta(days=30), "P30D"),
        ("PT4H", timedelta(hours=4), "PT4H"),
        ("P2W", timedelta(days=14), "P14D"),
        ("P1W2DT3H4M5S", timedelta(days=9, hours=3, minutes=4, seconds=5), "P9DT3H4M5S"),
        ("PT36H", timedelta(hours=36), "P1DT12H"),
        ("PT90S", timedelta(seconds=90), "PT1M30S"),
        ("-P3D", timedelta(days=-3), "-P3D"),
        ("-PT1H30M", timedelta(hours=-1.5), "-PT1H30M"),
        ("PT0S", timedelta(), "PT0S"),
        ("-P0D", timedelta(), "PT0S"),
        ("P36525D", LONGEST, "P36525D"),
    ],
)
def test_a_duration_is_read_and_told_in_its_shortest_spelling(
    text: str, value: timedelta, shortest: str
) -> None:
    assert parse_duration(text) == value
    assert duration_text(value) == shortest


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "-P", "P1", "30D", "P1M", "P1Y", "P1.5D", "PT1.5H", "P1DT", "P1H", "PT1D",
     "p1d", "P٣D", " P1D", "P1D\n", "+P1D", "P-1D", "P36526D", "P1D1W", "PT9999999H"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_duration(text)


@given(st.integers(-int(LONGEST.total_seconds()), int(LONGEST.total_seconds())))
def test_any_whole_seconds_survive_their_text(seconds: int) -> None:
    value = timedelta(seconds=seconds)
    assert parse_duration(duration_text(value)) == value


@given(st.text(alphabet="P-TWDHMS0123456789", max_size=14))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        value = parse_duration(text)
    except ValueError:
        return
    assert abs(value) <= LONGEST
    assert parse_duration(duration_text(value)) == value
