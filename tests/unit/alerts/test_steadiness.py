"""A wall clock against a monotonic one: what is a jump, and when the clock is believed."""

from datetime import UTC, datetime, timedelta

import pytest

from services.alerts.domain.steadiness import Reading, Steadiness, jump

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def read(wall: float, at: float, took: float = 0.0) -> Reading:
    """The clock said `wall` seconds while a reading from `at` on took its time."""
    return Reading(START + timedelta(seconds=wall), at, at + took)


@pytest.mark.parametrize(
    ("later", "by"),
    [
        (read(10, 10), 0.0),
        (read(3610, 10), 3600.0),
        (read(-3590, 10), -3600.0),
        (read(10 + 3 * 86_400, 10), 3 * 86_400.0),
        (read(11.5, 10), 1.5),
        (read(10, 10, took=30), 0.0),  # an answer that was long under way was read at its start,
        (read(40, 10, took=30), 0.0),  # or at its end
        (read(45, 10, took=30), 5.0),
        (read(5, 10, took=30), -5.0),
        (read(-1, -1), 0.0),  # another task's reading, begun earlier and noted later
    ],
)
def test_a_jump_is_what_elapsed_time_does_not_explain(later: Reading, by: float) -> None:
    assert jump(read(0, 0), later) == pytest.approx(by)


def test_a_slow_first_reading_explains_as_much() -> None:
    assert jump(read(0, 0, took=5), read(5, 5)) == 0.0
    assert jump(read(0, 0, took=5), read(10, 5)) == pytest.approx(5)


def believed(steadiness: Steadiness, *readings: Reading) -> list[bool]:
    found = []
    for reading in readings:
        steadiness.jumped(reading)
        found.append(steadiness.believed)
    return found


def test_a_clock_is_believed_once_readings_a_second_apart_agree() -> None:
    readings = (read(0, 0), read(0.5, 0.5), read(1, 1), read(1.5, 1.5))
    assert believed(Steadiness(), *readings) == [False, False, True, True]


@pytest.mark.parametrize("by", [3600, -3600, 3 * 86_400, 2.5])
def test_after_a_jump_it_is_not_believed_until_it_agrees_for_a_second(by: float) -> None:
    steadiness = Steadiness()
    believed(steadiness, read(0, 0), read(1, 1))
    jumped = read(1.1 + by, 1.1)
    assert steadiness.jumped(jumped) == pytest.approx(by)
    assert not steadiness.believed
    after = (read(1.6 + by, 1.6), read(2.1 + by, 2.1))
    assert believed(steadiness, *after) == [False, True]


def test_a_clock_that_jumps_there_and_back_is_not_believed_between() -> None:
    steadiness = Steadiness()
    believed(steadiness, read(0, 0), read(1, 1))
    there_and_back = (read(3601.5, 1.5), read(3602, 2), read(2.4, 2.4), read(3, 3), read(3.4, 3.4))
    assert believed(steadiness, *there_and_back) == [False, False, False, False, True]


def test_what_is_within_the_tolerance_is_no_jump() -> None:
    steadiness = Steadiness()
    believed(steadiness, read(0, 0), read(1, 1))
    assert steadiness.jumped(read(3.9, 2)) == 0.0
    assert steadiness.believed


def test_an_outage_of_the_database_is_no_jump() -> None:
    steadiness = Steadiness()
    believed(steadiness, read(0, 0), read(1, 1))
    assert steadiness.jumped(read(7201, 7201)) == 0.0
    assert steadiness.believed
