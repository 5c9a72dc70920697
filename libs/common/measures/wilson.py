"""The interval that every ratio is answered with."""

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

Z95 = NormalDist().inv_cdf(0.975)


class Interval(NamedTuple):
    """A two-sided 95 % interval of a share."""

    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval | None:
    """Wilson's score interval; `None` where nothing was tried.

    It stays within 0 to 1 and is honest for few trials, where the plain normal interval is not.
    """
    if trials == 0:
        return None
    share, z2 = successes / trials, Z95 * Z95
    centre = share + z2 / (2 * trials)
    half = Z95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    scale = 1 + z2 / trials
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == trials else (centre + half) / scale
    return Interval(low, high)
