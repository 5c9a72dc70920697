"""What a version that judges otherwise makes of an earlier version's alerts: as of the edit.

Whoever looks only later says what a look at the edit would have said: a stretch that began
afterwards is news, whatever the alerts of before.
"""

from collections.abc import Sequence
from datetime import datetime

from services.alerts.domain.alert import Alert
from services.alerts.domain.matching import by_clock
from services.alerts.domain.overlaps import overlapping
from services.alerts.domain.verdicts import Violation


def adopted(
    rows: Sequence[Alert], violations: Sequence[Violation], edited: datetime
) -> dict[str, Violation]:
    """The violation that each open alert goes on with, by the alert's id: what began when it says,
    else what stood at the edit, else the earliest; one that overlaps it."""
    begun = [found for found in violations if found.started_at <= edited]
    found: dict[str, Violation] = {}
    for told, stretches in by_clock(rows, begun):
        pairs = sorted(
            overlapping(told, stretches), key=lambda pair: _distance(pair[0], pair[1], edited)
        )
        for row, one in pairs:
            if row.alert_id not in found and all(one is not other for other in found.values()):
                found[row.alert_id] = one
    return found


def _distance(row: Alert, stretch: Violation, edited: datetime) -> tuple[bool, bool, datetime]:
    began_otherwise = stretch.started_at != row.started_at
    return began_otherwise, _was_over(stretch, edited), stretch.started_at


def told_before(
    rows: Sequence[Alert], violations: Sequence[Violation], edited: datetime
) -> list[Violation]:
    """What was over at the edit, and an alert that was over has told, were it in part. One that a
    change of the rule ended told nothing of it."""
    over = [found for found in violations if _was_over(found, edited)]
    return [
        stretch
        for told, stretches in by_clock(rows, over)
        for row, stretch in overlapping(told, stretches)
        if stretch.superseded == (row.resolution == "superseded")
    ]


def _was_over(stretch: Violation, edited: datetime) -> bool:
    return stretch.cleared_at is not None and stretch.cleared_at <= edited
