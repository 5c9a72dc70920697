"""How many subjects one turn takes: histories are read whole, so it is their weight that counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

TURN = 16 * 1024 * 1024
"""Bytes of history, as JSON, that a turn reads; the process takes some four times as many."""
LONGEST = 64 * 1024 * 1024
"""Bytes of history beyond which a subject is not judged: it would take the process's memory."""


@dataclass(frozen=True, slots=True)
class Portion:
    """What a turn judges, and what is too long for any."""

    subjects: Sequence[str]
    too_long: Sequence[str]


def portion(
    subjects: Sequence[str], weights: Mapping[str, int], turn: int, longest: int
) -> Portion:
    """The first subjects that weigh no more than `turn` bytes together, and always one.

    Those beyond `longest` are apart: they hold nobody up.
    """
    too_long = [one for one in subjects if weights.get(one, 0) > longest]
    fit = [one for one in subjects if weights.get(one, 0) <= longest]
    sums = accumulate(weights.get(one, 0) for one in fit)
    taken = [
        one for n, (one, sum_) in enumerate(zip(fit, sums, strict=True)) if not n or sum_ <= turn
    ]
    return Portion(taken, too_long)
