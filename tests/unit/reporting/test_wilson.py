"""Wilson's interval against published values and its own laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.measures.wilson import wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_intervals(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson(successes, trials)
    assert found is not None
    assert found == pytest.approx((low, high), abs=5e-5)


def test_nothing_tried_has_no_interval() -> None:
    assert wilson(0, 0) is None


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_within_bounds(pair: tuple[int, int]) -> None:
    successes, trials = pair
    found = wilson(successes, trials)
    mirrored = wilson(trials - successes, trials)
    assert found is not None
    assert mirrored is not None
    assert 0 <= found.low <= successes / trials <= found.high <= 1
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-12)
