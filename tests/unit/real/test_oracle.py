"""The oracle over three deals, whose numbers can be counted by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from tests.real import oracle
from tests.real.oracle import Past, Question

STAGES = {"new": "open", "offer": "open", "signed": "won", "paid": "won", "gone": "lost"}
DAY_0 = datetime(2024, 1, 30, 23, 30, tzinfo=UTC)
ENTRIES = [
    ("a", 1, 0, "new"), ("a", 2, 2, "offer"), ("a", 3, 4, "paid"), ("a", 4, 4, "signed"),
    ("b", 1, 1, "new"), ("b", 2, 1, "offer"), ("b", 3, 9, "gone"),
    ("c", 1, 3, "new"),
]  # fmt: skip
OWNERS = [("a", 1, 0, "x"), ("a", 3, 4, "y"), ("b", 1, 1, "y")]
AMOUNTS = [("a", 1, 0, 10.0), ("b", 1, 1, 20.5), ("c", 1, 3, 1.0)]


def day(number: int) -> datetime:
    return DAY_0 + timedelta(days=number)


def table(rows: Sequence[tuple[Any, ...]], name: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["deal", "n", "t", name])
    frame["t"] = pd.to_datetime(frame.t.map(day), utc=True)
    return frame


@pytest.fixture
def past() -> Past:
    changes = {"owner_id": table(OWNERS, "value"), "amount": table(AMOUNTS, "value")}
    return Past(table(ENTRIES, "stage"), STAGES, changes, "Europe/Berlin")


def picked(found: oracle.Numbers, *paths: tuple[object, ...]) -> list[object]:
    return [found[path] for path in paths]


def test_conversion(past: Past) -> None:
    found = oracle.conversion(past, Question(day(9)))
    assert picked(found, ("n",), ("won",), ("lost",), ("open",)) == [3, 1, 1, 1]
    assert picked(found, ("offer", "reached"), ("offer", "from_previous")) == [2, 2 / 3]
    assert picked(found, ("paid", "reached"), ("paid", "from_previous")) == [1, 0.0]
    assert found["value",] == 1 / 3
    for (border,) in (("low",), ("high",)):  # where the share lies z standard errors off
        x = found[border,]
        assert (1 / 3 - x) ** 2 == pytest.approx(oracle.Z**2 * x * (1 - x) / 3)


def test_conversion_within_a_window_and_as_known(past: Past) -> None:
    short = oracle.conversion(past, Question(day(9), window=timedelta(days=4)))
    assert picked(short, ("won",), ("lost",), ("open",)) == [1, 0, 2]
    known = oracle.conversion(past, Question(day(9), known_at=day(2)))
    assert picked(known, ("n",), ("won",), ("offer", "reached")) == [2, 0, 2]


def test_conversion_by_the_zones_month_and_by_owner(past: Past) -> None:
    months = oracle.conversion(past, Question(day(9), monthly=True))
    assert picked(months, ("2024-01", "n"), ("2024-02", "n")) == [1, 2]
    then = oracle.conversion(past, Question(day(9), group_by=("owner_id",)))
    assert picked(then, ("x", "n"), ("y", "n"), (None, "n")) == [1, 1, 1]
    today = oracle.conversion(past, Question(day(9), group_by=("owner_id",), credit="current"))
    assert picked(today, ("y", "n"), (None, "n")) == [2, 1]


def test_snapshot(past: Past) -> None:
    found = oracle.snapshot(past, day(3))
    assert picked(found, ("offer", "deals"), ("offer", "value")) == [2, 30.5]
    assert picked(found, ("offer", "mean_age_days"), ("new", "deals"), ("deals",)) == [2.5, 1, 3]
    assert oracle.snapshot(past, day(9))["deals",] == 1


def test_visits_and_outcomes(past: Past) -> None:
    found = oracle.visits(past)
    assert [(v[0], v[4], v[5]) for v in found["a"]] == [
        ("new", 2 * 86_400, "advance"), ("offer", 2 * 86_400, "won"), ("paid", 0, "back"),
        ("signed", None, None),
    ]  # fmt: skip
    assert [(v[0], v[5]) for v in found["b"]] == [
        ("new", "advance"), ("offer", "lost"), ("gone", None)
    ]  # fmt: skip
    ends = oracle.outcomes(past)
    assert [(d["status"], d["closed_at"]) for d in ends.values()] == [
        ("won", day(4)), ("lost", day(9)), ("open", None)
    ]  # fmt: skip
