"""Alerts and stretches of one clock: the best pairing that keeps their order, found by trying all.

What is better is said here by a sum over the pairs: same beginnings, then pairs with an instant in
common, then the time in common; beside these, as many as there can be.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.alerts.domain.alert import Alert
from services.alerts.domain.clocks import Run
from services.alerts.domain.matching import matched
from services.alerts.domain.timeline import EventRef
from services.alerts.domain.verdicts import Violation
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import Desk, rule
from tests.unit.alerts.facts import h
from tests.unit.alerts.test_against_oracle import hour
from tests.unit.alerts.test_turns import LARGE, SMALL, look, worth

Span = tuple[int, int | None]
Pairs = list[tuple[Span, Span]]
ENDLESS = 1_000
"""Hours that all which stands has in common, at least."""


def _spans(marks: list[int]) -> list[Span]:
    """An even number of marks bounds finished spans; with an odd one the last stands."""
    edges: list[int | None] = [*sorted(marks), None]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False) if a is not None]


spans = st.lists(st.integers(0, 24), unique=True, max_size=9).map(_spans)


@given(spans, spans)
def test_no_other_pairing_is_better(rows: list[Span], stretches: list[Span]) -> None:
    found = paired(rows, stretches)
    assert all(worth_of(*pair) is not None for pair in found)
    every = list(pairings(rows, stretches))
    assert score(found) == max(map(score, every))
    alike = [pairs for pairs in every if overlapping(pairs) == overlapping(found)]
    assert len(found) == max(map(len, alike))
    assert [stretch for _, stretch in found] == sorted(stretch for _, stretch in found)


@given(spans, spans)
def test_an_open_alert_keeps_what_stands_but_for_one_that_began_just_then(
    rows: list[Span], stretches: list[Span]
) -> None:
    found = dict(paired(rows, stretches))
    stands = next((one for one in stretches if one[1] is None), None)
    open_ = next((row for row in rows if row[1] is None), None)
    if stands and open_ and stands[0] not in {began for began, _ in rows}:
        assert (found[open_] == stands) or found[open_][0] == open_[0]


def test_neither_of_two_alerts_takes_the_others_stretch() -> None:
    first, second = (11, 12), (15, None)
    assert paired([first, second], [(10, 18), (25, None)]) == [
        (first, (10, 18)), (second, (25, None)),
    ]  # fmt: skip


def test_an_alert_that_is_over_is_not_revived_by_another_stretch() -> None:
    assert paired([(6, 7)], [(9, None)]) == []
    assert paired([(6, 7)], [(9, 10)]) == [((6, 7), (9, 10))]
    assert paired([(6, 7), (9, 10)], [(9, 10), (12, 13)]) == [((9, 10), (9, 10))]


def test_late_facts_leave_each_alert_its_own_stretch() -> None:
    desk = Desk(rule("created_at", 5, scope=LARGE))
    told = worth(11, 2_000), worth(12, 500), worth(15, 2_000)
    assert len(look(desk, SMALL, *told)) == 3
    late: list[FoldEvent] = [worth(10.5, 2_000), worth(18, 500), worth(19, 2_000)]
    assert sorted(look(desk, SMALL, *late)) == [
        ("corrected", 10.5, "alert-1"), ("corrected", 19, "alert-2"),
    ]  # fmt: skip


def paired(rows: Sequence[Span], stretches: Sequence[Span]) -> Pairs:
    """What the domain makes of it, by the rows' order; it is given them in another."""
    found = matched([_alert(row) for row in reversed(rows)], [_violation(s) for s in stretches])
    spans = {str(row): row for row in rows}
    pairs = [(spans[name], _hours(one)) for name, one in found.items()]
    return sorted(pairs, key=lambda pair: pair[0][0])


def pairings(rows: Sequence[Span], stretches: Sequence[Span]) -> Iterator[Pairs]:
    """Every one that keeps the order."""
    if not rows or not stretches:
        yield []
        return
    yield from pairings(rows[1:], stretches)
    for n, stretch in enumerate(stretches):
        if worth_of(rows[0], stretch) is not None:
            for more in pairings(rows[1:], stretches[n + 1 :]):
                yield [(rows[0], stretch), *more]


def overlapping(pairs: Pairs) -> Pairs:
    return [pair for pair in pairs if (worth_of(*pair) or (0, 0, 0))[1]]


def score(pairs: Pairs) -> list[int]:
    """Same beginnings, pairs that overlap, hours in common."""
    worths = [found for pair in pairs if (found := worth_of(*pair)) is not None]
    return [sum(column) for column in zip((0, 0, 0), *worths, strict=True)]


def worth_of(row: Span, stretch: Span) -> tuple[int, int, int] | None:
    """`None`: they must not be paired."""
    ends = [ENDLESS if end is None else end for end in (row[1], stretch[1])]
    common = max(0, min(ends) - max(row[0], stretch[0]))
    if not common and row[1] is not None and stretch[1] is None:
        return None
    return int(row[0] == stretch[0]), int(common > 0), common


def _violation(span: Span) -> Violation:
    run = Run(EventRef(h(0), "/crm", "e"), h(0), None, h(0))
    return Violation(run, h(span[0]), None if span[1] is None else h(span[1]), False, {})


def _hours(found: Violation) -> Span:
    ended = found.cleared_at
    return hour(found.started_at), None if ended is None else hour(ended)


def _alert(span: Span) -> Alert:
    fields: dict[str, Any] = {"rule_id": "r", "rule_version": 1, "rule_name": "R"}
    ended = None if span[1] is None else h(span[1])
    return Alert(
        str(span), **fields, subject_id="d1", episode=1, key=("/crm", "e", 0), clock=(h(0), None),
        state="resolved" if ended else "firing", severity="info", started_at=h(span[0]),
        detected_at=h(span[0]), evidence={}, resolved_at=ended,
        resolution="cleared" if ended else None,
    )  # fmt: skip
