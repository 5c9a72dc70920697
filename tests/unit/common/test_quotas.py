"""Counting in windows, by table; and that neither keys nor debts grow without end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.quotas import Policy, Windows

EVENTS = Policy("events", 100)


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        ([(0, 60), (0, 40), (0, 1)], [(True, 40, 60), (True, 0, 60), (False, 0, 60)]),
        ([(0, 60), (10, 41), (10, 40)], [(True, 40, 60), (False, 40, 50), (True, 0, 50)]),
        ([(5, 100), (64.9, 1), (65, 1)], [(True, 0, 60), (False, 0, 1), (True, 99, 60)]),
        ([(0, 100), (300, 100)], [(True, 0, 60), (True, 0, 60)]),
        # Larger than the whole: alone, and then for as many windows as it is worth.
        ([(0, 250), (179, 1), (180, 1)], [(True, 0, 180), (False, 0, 1), (True, 99, 60)]),
        ([(0, 1), (0, 250), (60, 250)], [(True, 99, 60), (False, 99, 60), (True, 0, 180)]),
    ],
)
def test_uses_of_a_window(
    uses: list[tuple[float, int]], expected: list[tuple[bool, int, int]]
) -> None:
    windows = Windows()
    met = [windows.take(EVENTS, "acme", now, cost) for now, cost in uses]
    assert [(one.allowed, one.remaining, one.seconds) for one in met] == expected


def test_keys_are_apart_and_looking_uses_nothing() -> None:
    windows = Windows()
    assert windows.look(EVENTS, "acme", 0, 100).allowed
    assert windows.take(EVENTS, "acme", 0, 100).allowed
    assert not windows.look(EVENTS, "acme", 1).allowed
    assert windows.look(EVENTS, "other", 1).remaining == 100


def test_what_is_taken_all_the_same_keeps_others_out_until_the_window_ends_and_no_longer() -> None:
    windows = Windows()
    for now in range(10):
        assert windows.take(EVENTS, "acme", now, 1_000, insist=True).allowed
    met = windows.take(EVENTS, "acme", 59, 1)
    assert (met.allowed, met.remaining, met.seconds) == (False, 0, 1)
    assert windows.take(EVENTS, "acme", 60, 100).allowed


def test_a_use_is_undone_in_its_own_window_only() -> None:
    windows = Windows()
    first = windows.take(EVENTS, "acme", 0, 70)
    windows.take(EVENTS, "acme", 0, 30)
    windows.give_back("acme", first.until, 70)
    assert windows.look(EVENTS, "acme", 1).remaining == 70
    windows.take(EVENTS, "acme", 60, 50)
    windows.give_back("acme", first.until, 30)
    assert windows.look(EVENTS, "acme", 61).remaining == 50
    windows.give_back("nobody", first.until, 30)
    large = windows.take(EVENTS, "large", 60, 1_000)
    windows.give_back("large", large.until, 1_000)
    assert windows.take(EVENTS, "large", 61, 100).seconds == 60, "the long window went with it"


def test_a_flood_of_keys_costs_no_memory() -> None:
    windows = Windows(most=1_000)
    for key in range(50_000):
        windows.take(EVENTS, key, key / 10_000)
    assert len(windows) == 1_000
    assert windows.look(EVENTS, 49_999, 5).remaining == 99
    windows.take(EVENTS, "late", 1_000)
    assert len(windows) == 1, "what is over goes by itself"


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 150)), max_size=60))
def test_no_minute_gets_more_than_its_quota_twice(uses: list[tuple[float, int]]) -> None:
    """Whatever is asked, and when: at most two windows meet in any minute; single uses that are
    larger than the quota are paid for by what comes after."""
    windows, now, passed = Windows(), 0.0, list[tuple[float, int]]()
    for pause, cost in uses:
        now += pause
        if windows.take(EVENTS, "acme", now, cost).allowed:
            passed.append((now, cost))
    small = [(at, cost) for at, cost in passed if cost <= EVENTS.quota]
    for start, _ in small:
        assert sum(cost for at, cost in small if start <= at < start + 60) <= 2 * EVENTS.quota
    if passed:
        minutes = (now - passed[0][0]) / 60 + 2
        assert sum(cost for _, cost in passed) <= minutes * EVENTS.quota
