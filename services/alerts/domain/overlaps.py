"""Alerts and stretches of one clock that have an instant in common."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from services.alerts.domain.alert import Alert
from services.alerts.domain.verdicts import Violation

Pair = tuple[Alert, Violation]
Rows = list[Alert]
Stretches = list[Violation]
NEVER = datetime.max.replace(tzinfo=UTC)


def overlapping(rows: Rows, stretches: Stretches) -> Iterator[Pair]:
    """Pairs with an instant in common, in order; the stretches of one clock never overlap."""
    ends = [stretch.cleared_at or NEVER for stretch in stretches]
    for row in rows:
        for i in range(bisect_right(ends, row.started_at), len(stretches)):
            if row.resolved_at is not None and stretches[i].started_at >= row.resolved_at:
                break
            yield row, stretches[i]


def most_in_common(rows: Rows, stretches: Stretches) -> Iterator[Pair]:
    """As many pairs that overlap as there can be, and of these ways the one with most time in
    common; two that stand have endless time. Pairs that share neither keep their order by nature.

    `best[k]` is the best of the first `k` pairs: with the last of them it goes on from `before[k]`,
    how many pairs there were before its row or its stretch came up.
    """
    pairs = list(overlapping(rows, stretches))
    best, before, first = [(0, timedelta())], [0], dict[int, int]()
    for k, pair in enumerate(pairs):
        before.append(min(first.setdefault(id(one), k) for one in pair))
        count, common = best[before[-1]]
        best.append(max(best[k], (count + 1, common + _common(*pair))))
    k = len(pairs)
    while k:
        if best[k] > best[k - 1]:
            yield pairs[k - 1]
        k = before[k] if best[k] > best[k - 1] else k - 1


def _common(row: Alert, stretch: Violation) -> timedelta:
    ends = row.resolved_at or NEVER, stretch.cleared_at or NEVER
    return min(ends) - max(row.started_at, stretch.started_at)


def overlap(a: tuple[datetime, datetime | None], b: tuple[datetime, datetime | None]) -> bool:
    """Whether two half-open stretches have an instant in common; `None` is without end."""
    return (a[1] is None or b[0] < a[1]) and (b[1] is None or a[0] < b[1])
