"""Dates and times as people write them."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.mapping.faults import Unfit
from services.ingest.domain.mapping.instants import UnknownFormat, times

BERLIN = ZoneInfo("Europe/Berlin")
READ = times(
    ["iso", "%d.%m.%Y %H:%M", "%d/%b/%y", "%m/%d/%Y %I:%M %p", "%B %d, %Y", "epoch_ms"],
    "Europe/Berlin",
)


@pytest.mark.parametrize(
    ("written", "instant", "day"),
    [
        ("2026-03-02", "2026-03-01T23:00:00+00:00", "2026-03-02"),
        ("2026-03-02 09:15", "2026-03-02T08:15:00+00:00", "2026-03-02"),
        ("2026-03-02T09:15:00.5Z", "2026-03-02T09:15:00.500000+00:00", "2026-03-02"),
        ("2026-03-02T23:30:00Z", "2026-03-02T23:30:00+00:00", "2026-03-03"),
        ("2026-03-02T09:15:00+0530", "2026-03-02T03:45:00+00:00", "2026-03-02"),
        ("02.03.2026 09:15", "2026-03-02T08:15:00+00:00", "2026-03-02"),
        ("2.7.2026 09:15", "2026-07-02T07:15:00+00:00", "2026-07-02"),
        ("2/Mar/26", "2026-03-01T23:00:00+00:00", "2026-03-02"),
        ("March 2, 2026", "2026-03-01T23:00:00+00:00", "2026-03-02"),
        ("3/2/2026 12:05 am", "2026-03-01T23:05:00+00:00", "2026-03-02"),
        ("3/2/2026 12:05 PM", "2026-03-02T11:05:00+00:00", "2026-03-02"),
        ("25.10.2026 02:30", "2026-10-25T00:30:00+00:00", "2026-10-25"),
        ("1772442000000", "2026-03-02T09:00:00+00:00", "2026-03-02"),
        (1772442000000, "2026-03-02T09:00:00+00:00", "2026-03-02"),
        ("  ", None, None),
        (None, None, None),
    ],
)
def test_read(written: object, instant: str | None, day: str | None) -> None:
    assert (READ.instant(written), READ.day(written)) == (instant, day)


@pytest.mark.parametrize(
    "written",
    [
        "29.03.2026 02:30",  # skipped by clocks
        "30.02.2026 10:00",
        "02.13.2026 10:00",
        "02.03.2026 24:00",
        "2026-03-02T09:15:00+05:99",
        "0000-01-01",
        "9999-12-31T23:59:59Z",
        "99999999999999999999",
        "13/2/2026 1:00 PM",
        "1/2/2026 13:00 PM",
        "Marchy 2, 2026",
        "yesterday",
        1.5,
        True,
        [],
    ],
)
def test_what_is_no_instant_is_refused(written: object) -> None:
    with pytest.raises(Unfit):
        READ.instant(written)


@pytest.mark.parametrize(
    "format_",
    ["%d.%m", "%Y", "%d.%m.%Y %d", "%d.%m.%Y %j", "%d.%m.%Y %", "%d.%m.%Y %I:%M", "iso8601"],
)
def test_a_format_by_which_nobody_can_read_is_refused(format_: str) -> None:
    with pytest.raises(UnknownFormat):
        times([format_], "UTC")


@given(st.dates(date(1950, 1, 1), date(2150, 1, 1)), st.integers(0, 24 * 60 - 1))
def test_any_wall_time_is_read_back_unless_clocks_skip_it(day: date, minute: int) -> None:
    wall = datetime.fromisoformat(day.isoformat()) + timedelta(minutes=minute)
    there = wall.replace(tzinfo=BERLIN).astimezone(UTC)
    skipped = there.astimezone(BERLIN).replace(tzinfo=None) != wall
    written = f"{wall:%d.%m.%Y %H:%M}"
    if skipped:
        with pytest.raises(Unfit):
            READ.instant(written)
    else:
        assert READ.instant(written) == there.isoformat()
    assert READ.day(written) == wall.date().isoformat()


@given(
    st.dates(date(1900, 1, 2), date(2199, 12, 30)),
    st.sampled_from(["%d/%m/%Y", "%Y%m%d", "%d %b %Y"]),
)
def test_any_day_is_read_back_in_each_spelling(day: date, format_: str) -> None:
    assert times([format_], "UTC").day(day.strftime(format_)) == day.isoformat()


@given(
    st.text(max_size=25) | st.text("0123456789-:.TZ+ /", max_size=25) | st.integers() | st.floats()
)
def test_nothing_but_an_instant_or_a_refusal_comes_out(written: object) -> None:
    try:
        read = READ.instant(written)
    except Unfit:
        return
    assert read is None or timedelta() == datetime.fromisoformat(read).utcoffset()
