"""Numbers that a source gives its deliveries: which are missing, whatever order they came in."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.counters import (
    LATE,
    MOST,
    Counted,
    excused,
    number_at,
    taken,
)
from services.ingest.domain.ranges import Ranges, between, common, size, united

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BASE = 5_000
NOTHING = Counted()


def counted(*numbers: int, since: Counted = NOTHING) -> Counted:
    """One delivery after the other; one that comes twice repeats what came."""
    seen: set[int] = set()
    for number in numbers:
        at = ((number, number),)
        since = taken(since, () if number in seen else at, at if number in seen else (), NOW)
        seen.add(number)
    return since


def as_ranges(numbers: set[int]) -> Ranges:
    return united((number, number) for number in numbers)


@given(st.lists(st.integers(BASE, BASE + LATE), min_size=1, max_size=60), st.data())
def test_order_and_repetition_make_no_difference(numbers: list[int], data: st.DataObject) -> None:
    arrived = data.draw(st.permutations(numbers + data.draw(st.lists(st.sampled_from(numbers)))))
    found = counted(*arrived)
    whole = set(range(min(numbers), max(numbers) + 1))
    assert found.missing == as_ranges(whole - set(numbers))
    assert (found.highest, found.restarts) == (max(numbers), 0)


@given(st.lists(st.integers(BASE, BASE + LATE), min_size=1, max_size=60), st.data())
def test_how_deliveries_are_gathered_makes_no_difference(
    numbers: list[int], data: st.DataObject
) -> None:
    """Several processes, each with a batch a second."""
    fresh = list(dict.fromkeys(numbers))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(fresh)), max_size=5)))
    held = Counted()
    for first, last in zip([0, *cuts], [*cuts, len(fresh)], strict=True):
        held = taken(held, as_ranges(set(fresh[first:last])), (), NOW)
    assert held.missing == counted(*numbers).missing


RANGES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda at: (at[0], at[0] + at[1])),
    max_size=8,
).map(united)


def members(ranges: Ranges) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(RANGES, RANGES)
def test_ranges_are_sets(one: Ranges, other: Ranges) -> None:
    assert members(united(one, other)) == members(one) | members(other)
    assert members(common(one, other)) == members(one) & members(other)
    assert size(one) == len(members(one))
    whole = set(range(min(members(one), default=0), max(members(one), default=-1) + 1))
    assert members(between(one)) == whole - members(one)


def test_a_late_delivery_fills_the_gap() -> None:
    held = counted(1, 2, 6)
    assert held.missing == ((3, 5),)
    assert counted(4, since=held).missing == ((3, 3), (5, 5))
    assert counted(5, 3, 4, since=held).missing == ()


@pytest.mark.parametrize("first", [1, 4_000])
def test_a_source_that_begins_anew_is_told(first: int) -> None:
    before = counted(*range(first, 5_000), 5_003)
    anew = counted(1, 2, 4, since=before)
    assert (anew.missing, anew.highest) == (((3, 3),), 4)
    assert (anew.restarts, anew.restarted_at) == (1, NOW)
    assert counted(5, 3, since=anew).missing == ()


def test_what_is_repeated_after_a_new_beginning_is_none() -> None:
    anew = counted(*range(4), since=counted(*range(4_000, 5_000)))
    repeated = taken(anew, (), ((2, 3),), NOW)
    assert repeated == anew


@pytest.mark.parametrize("number", [5_000, 5_000 - LATE, 4_900])
def test_what_lies_little_behind_is_late_or_tried_twice(number: int) -> None:
    held = counted(*range(4_900, 5_001))
    assert counted(number, since=held).restarts == 0


def test_numbers_are_no_longer_missed_once_they_were_fetched() -> None:
    held = counted(1, 5, 9)
    filled = excused(held, [(4, 7), (20, 30)])
    assert (filled.missing, filled.highest) == (((2, 3), (8, 8)), 9)
    late = counted(4, 6, 12, since=filled)
    assert (late.missing, late.restarts) == (((2, 3), (8, 8), (10, 11)), 0)
    far = counted(*range(12, 900), since=filled)
    assert counted(6, since=far).restarts == 0, "what was excused did not come before"


def test_the_lowest_of_too_many_gaps_are_given_up() -> None:
    held = counted(*range(0, 2 * (MOST + 10), 2))
    assert len(held.missing) == MOST
    assert (held.missing[0], held.given_up) == ((19, 19), 9)
    late = counted(3, since=held)
    assert (late.missing, late.restarts) == (held.missing, 0)
    assert len(late.received) <= MOST + 2


POINTED: Sequence[tuple[Any, str, int | None]] = [
    ({"meta": {"n": 7}}, "/meta/n", 7),
    ([{"n": "12"}], "/0/n", 12),
    ({"a/b": {"~": 3}}, "/a~1b/~0", 3),
    ({"": 4}, "/", 4),
    ({"n": True}, "/n", None),
    ({"n": 1.0}, "/n", None),
    ({"n": -1}, "/n", None),
    ({"n": 10**30}, "/n", None),
    ({"n": "\u0663"}, "/n", None),
    ({"n": [1]}, "/n/9", None),
    ({"n": [1]}, "/n/-", None),
    ("text", "/n", None),
]


@pytest.mark.parametrize(("body", "pointer", "number"), POINTED)
def test_a_pointer_shows_a_number_or_nothing(body: Any, pointer: str, number: int | None) -> None:
    assert number_at(body, pointer) == number
