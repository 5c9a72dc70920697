"""Batch sizes over transactions that cost something by themselves and something a record."""

import random

import pytest

from libs.common.eventlog.pace import LEAST, Pace


def settled(pace: Pace, fixed: float, each: float, noise: float = 0, turns: int = 100) -> float:
    """Run full batches; answers how many records a second went through in the last half."""
    chance, done = random.Random(5), [0.0, 0.0]
    for turn in range(turns):
        size = pace.size
        seconds = (fixed + each * size) * (1 + chance.uniform(-noise, noise))
        pace.took(size, seconds)
        if turn >= turns // 2:
            done = [done[0] + size, done[1] + seconds]
    return done[0] / done[1]


@pytest.mark.parametrize("fixed", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("each", [0.0005, 0.005])
@pytest.mark.parametrize("noise", [0, 0.2])
def test_batches_fill_the_target_and_seldom_pass_it(
    fixed: float, each: float, noise: float
) -> None:
    pace = Pace(500, 2_000, 0.5)
    settled(pace, fixed, each, noise)
    assert 0.2 <= fixed + each * pace.size <= 0.6


@pytest.mark.parametrize("fixed", [0.4, 0.6, 1.5])
@pytest.mark.parametrize("noise", [0, 0.2, 0.4])
def test_a_cost_that_no_cut_saves_does_not_lead_to_a_crawl(fixed: float, noise: float) -> None:
    """Shrinking for its sake ended at ten records a batch: seven a second for a cost of 1.5 s."""
    pace = Pace(500, 2_000, 0.5)
    speed = settled(pace, fixed, 0.001, noise)
    assert speed >= 0.4 * 250 / (fixed + 0.25)


def test_it_comes_back_after_a_bad_time() -> None:
    pace = Pace(500, 2_000, 0.5)
    settled(pace, 2, 0.1)
    assert pace.size < 100
    settled(pace, 0.02, 0.0001)
    assert pace.size == 2_000


def test_one_slow_batch_is_soon_forgotten() -> None:
    pace = Pace(500, 2_000, 0.5)
    settled(pace, 0.02, 0.0001)
    pace.took(2_000, 30)
    settled(pace, 0.02, 0.0001, turns=40)
    assert pace.size == 2_000


def test_sizes_stay_within_their_bounds() -> None:
    pace = Pace(7, 7, 0.5)
    pace.took(7, 0.001)
    assert pace.size == 7
    slow = Pace(500, 2_000, 0.5)
    settled(slow, 0, 10)
    assert slow.size == LEAST


def test_small_batches_do_not_make_it_grow() -> None:
    """Little comes: that says nothing of how much would fit."""
    pace = Pace(500, 2_000, 0.5)
    for _ in range(20):
        pace.took(3, 0.01)
    assert pace.size == 500
