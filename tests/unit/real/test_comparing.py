"""A comparison that would overlook a difference proves nothing."""

import pytest

from tests.e2e.real.comparing import differing

WANTED = {("n",): 3, ("value",): 1 / 3, ("low",): None, "a": [("new", 2.0, None)]}


def test_equal_numbers() -> None:
    assert differing({**WANTED, ("value",): 0.1 + 0.7 / 3}, WANTED) == []


@pytest.mark.parametrize(
    "planted",
    [
        {("n",): 4}, {("value",): 1 / 3 + 1e-6}, {("low",): 0.0}, {("more",): 0},
        {"a": [("new", 2.0, "won")]}, {"a": []}, {"a": [("new", 2.1, None)]},
    ],
)  # fmt: skip
def test_a_planted_difference_is_told(planted: dict[object, object]) -> None:
    assert differing({**WANTED, **planted}, WANTED)[1:] != []


def test_a_missing_number_is_told_and_nothing_is_no_comparison() -> None:
    assert differing({("n",): 3}, WANTED)[0] == "3 of 4 differ"
    with pytest.raises(AssertionError):
        differing({}, {})
