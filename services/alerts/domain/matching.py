"""Which alert row tells of which violation.

They belong together by the event that started the clock. A clock may be violated over several
stretches (its scope is left and entered again): there the instants decide, so that a late stretch
before or between others takes no other stretch's alert.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

from services.alerts.domain.alert import Alert
from services.alerts.domain.overlaps import Pair, Rows, Stretches, most_in_common
from services.alerts.domain.verdicts import Event, Violation

T = TypeVar("T")


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


def _of_clock(rows: Rows, stretches: Stretches) -> Iterator[Pair]:
    """Stretches that began when the alert says, then those that overlap it, then in their order."""
    found: list[Pair] = []
    for pairing in (_begun_alike, _overlapping, _between):
        rows_left = _without(rows, [row for row, _ in found])
        left = _without(stretches, [stretch for _, stretch in found])
        found = [*found, *pairing(rows_left, left, found)]
    yield from found


def _begun_alike(rows: Rows, stretches: Stretches, _: Sequence[Pair]) -> Iterator[Pair]:
    began = {stretch.started_at: stretch for stretch in stretches}
    for row in rows:
        if (stretch := began.pop(row.started_at, None)) is not None:
            yield row, stretch


def _overlapping(rows: Rows, stretches: Stretches, _: Sequence[Pair]) -> Iterator[Pair]:
    yield from most_in_common(rows, stretches)


def _between(rows: Rows, stretches: Stretches, found: Sequence[Pair]) -> Iterator[Pair]:
    """One after the other, between the same two pairs; what is over is not revived so."""
    told, held = sorted(row.started_at for row, _ in found), sorted(s.started_at for _, s in found)
    places: dict[int, tuple[Rows, Stretches]] = defaultdict(lambda: ([], []))
    for row in rows:
        places[bisect_right(told, row.started_at)][0].append(row)
    for stretch in stretches:
        places[bisect_right(held, stretch.started_at)][1].append(stretch)
    for place in places.values():
        yield from (
            (row, stretch)
            for row, stretch in zip(*place, strict=False)
            if row.is_open or stretch.cleared_at is not None
        )


def _without(all_: Sequence[T], taken: Sequence[T]) -> list[T]:
    gone = {id(one) for one in taken}
    return [one for one in all_ if id(one) not in gone]
