"""A process looks for garbage seldom, but it does."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from libs.common.process.garbage import YOUNG, collect_seldom


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Node:
    def __init__(self) -> None:
        self.itself = self


def test_what_was_there_is_not_looked_at_again() -> None:
    collect_seldom()
    assert gc.get_freeze_count() > 1_000
    assert gc.get_threshold()[0] == YOUNG


def test_cycles_are_found_by_themselves() -> None:
    collect_seldom()
    died = weakref.ref(Node())
    kept = [[] for _ in range(2 * YOUNG)]  # type: list[list[int]]
    assert died() is None
    assert kept
