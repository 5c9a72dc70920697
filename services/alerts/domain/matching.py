"""Which alert row tells of which violation.

They belong together by the event that started the clock. A clock may be violated over several
stretches (its scope is left and entered again): there the instants decide, so that a late stretch
before or between others takes no other stretch's alert.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from services.alerts.domain.alert import Alert
from services.alerts.domain.verdicts import Event, Violation

Pair = tuple[Alert, Violation]
Rows = list[Alert]
Stretches = list[Violation]
NEVER = datetime.max.replace(tzinfo=UTC)


def matched(rows: Sequence[Alert], violations: Sequence[Violation]) -> dict[str, Violation]:
    """The violation of each alert, by the alert's id; those without one are left out."""
    found: dict[str, Violation] = {}
    for told, stretches in by_clock(rows, violations):
        found |= {row.alert_id: stretch for row, stretch in _of_clock(told, stretches)}
    return found


def by_clock(
    rows: Sequence[Alert], violations: Sequence[Violation]
) -> Iterator[tuple[Rows, Stretches]]:
    """What is told of each clock and what holds of it, both in order of their beginning."""
    told: dict[Event, Rows] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.started_at):
        told[row.key[:2]].append(row)
    stretches: dict[Event, Stretches] = defaultdict(list)
    for violation in sorted(violations, key=lambda found: found.started_at):
        stretches[violation.event].append(violation)
    yield from ((told[event], stretches[event]) for event in told if event in stretches)


def overlapping(rows: Rows, stretches: Stretches) -> Iterator[Pair]:
    """Pairs with an instant in common, in order; the stretches of one clock never overlap."""
    ends = [stretch.cleared_at or NEVER for stretch in stretches]
    for row in rows:
        for i in range(bisect_right(ends, row.started_at), len(stretches)):
            if row.resolved_at is not None and stretches[i].started_at >= row.resolved_at:
                break
            yield row, stretches[i]


def _of_clock(rows: Sequence[Alert], stretches: Sequence[Violation]) -> Iterator[Pair]:
    """Stretches that began when the alert says, then those that overlap it, then in their order.
    Where several alerts could take a stretch, one that stands comes first."""
    rows = sorted(rows, key=lambda row: (not row.is_open, row.started_at))
    left = sorted(stretches, key=lambda stretch: stretch.started_at)
    for fits in (_began_then, _overlaps, _any):
        pairs = list(_paired(rows, left, fits))
        yield from pairs
        rows = [row for row in rows if all(row is not taken for taken, _ in pairs)]
        left = [one for one in left if all(one is not taken for _, taken in pairs)]


def _paired(
    rows: Sequence[Alert],
    stretches: Sequence[Violation],
    fits: Callable[[Alert, Violation], bool],
) -> Iterator[Pair]:
    """Each row with the earliest stretch that fits and that no earlier row has taken."""
    left = list(stretches)
    for row in rows:
        stretch = next((one for one in left if fits(row, one)), None)
        if stretch is not None:
            left.remove(stretch)
            yield row, stretch


def _began_then(row: Alert, stretch: Violation) -> bool:
    return row.started_at == stretch.started_at


def _overlaps(row: Alert, stretch: Violation) -> bool:
    return overlap((row.started_at, row.resolved_at), (stretch.started_at, stretch.cleared_at))


def _any(_row: Alert, _stretch: Violation) -> bool:
    return True


def overlap(a: tuple[datetime, datetime | None], b: tuple[datetime, datetime | None]) -> bool:
    """Whether two half-open stretches have an instant in common; `None` is without end."""
    return (a[1] is None or b[0] < a[1]) and (b[1] is None or a[0] < b[1])
