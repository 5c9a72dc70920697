"""A turn takes what it can carry, whatever the deals look like."""

from collections.abc import Mapping, Sequence

import pytest

from services.alerts.app.portions import portion


@pytest.mark.parametrize(
    ("weights", "taken", "too_long"),
    [
        ({}, "", ""),
        ({"a": 1, "b": 2, "c": 3}, "abc", ""),
        ({"a": 5, "b": 5, "c": 1}, "ab", ""),
        ({"a": 60, "b": 1}, "a", ""),  # one is always taken, or it would wait for ever
        ({"a": 1, "b": 60, "c": 1}, "a", ""),  # none overtakes another
        ({"a": 1, "b": 101, "c": 2}, "ac", "b"),
        ({"a": 101}, "", "a"),
        ({"a": 0, "b": 10, "c": 0}, "abc", ""),
    ],
)
def test_the_first_that_fit_are_taken(
    weights: Mapping[str, int], taken: Sequence[str], too_long: Sequence[str]
) -> None:
    found = portion(list(weights), weights, turn=10, longest=100)
    assert ("".join(found.subjects), "".join(found.too_long)) == (taken, too_long)


def test_a_deal_without_a_history_weighs_nothing() -> None:
    assert portion(["a", "b"], {}, turn=0, longest=0).subjects == ["a", "b"]


def test_turn_after_turn_takes_them_all() -> None:
    weights = {f"D-{n}": n * 37 % 19 for n in range(100)}
    waiting, turns = list(weights), 0
    while waiting:
        taken = portion(waiting, weights, turn=40, longest=40).subjects
        assert sum(weights[one] for one in taken) <= 40
        waiting, turns = waiting[len(taken) :], turns + 1
    assert turns >= sum(weights.values()) / 40
