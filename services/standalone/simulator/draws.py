"""The random draws that the simulator shares, each from the generator that it is given."""

import math
from random import Random


def generator(seed: int, *purpose: str) -> Random:
    """A generator of its own for each purpose, so that one cannot disturb another."""
    return Random(":".join((str(seed), *purpose)))  # noqa: S311 - a simulation, no secret


def poisson(rng: Random, mean: float) -> int:
    """A count; by multiplication of uniforms, which is exact and fast for small means."""
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def lognormal(rng: Random, median: float, sigma: float) -> float:
    return median * math.exp(sigma * rng.gauss(0, 1))


def chance(rng: Random, share: float) -> bool:
    return rng.random() < share


def rounded(amount: float) -> float:
    """A price as people write it: two leading digits and a half."""
    step = 10.0 ** max(1, math.floor(math.log10(max(amount, 1))) - 1) / 2
    return max(step, round(amount / step) * step)
