"""Sets of whole numbers as ranges: sorted, apart from one another, both ends included."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

Range = tuple[int, int]
Ranges = Sequence[Range]


def united(*many: Iterable[Range]) -> tuple[Range, ...]:
    """The numbers of any of these, whatever their order; neighbours become one range."""
    made: list[Range] = []
    for first, last in sorted(one for each in many for one in each):
        if made and first <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(made[-1][1], last))
        else:
            made.append((first, last))
    return tuple(made)


def common(one: Ranges, other: Ranges) -> tuple[Range, ...]:
    """The numbers of both."""
    pairs = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return united(pair for pair in pairs if pair[0] <= pair[1])


def between(ranges: Ranges) -> tuple[Range, ...]:
    """The numbers that lie between the ranges."""
    return tuple((before[1] + 1, after[0] - 1) for before, after in pairwise(ranges))


def size(ranges: Ranges) -> int:
    return sum(last - first + 1 for first, last in ranges)
