"""An alert as of two instants, from a row that knows today and its corrections."""

from dataclasses import replace

import pytest

from services.funnel.domain.alerts import Claim, DealAlert, ShownAlert, shown
from tests.unit.funnel.domain.history import h

FIRED = DealAlert(
    "a", "d", h(11), Claim(h(10), None, None, ("/crm", "e")), (), None, None, {"late": False}
)
ENDED = replace(FIRED, claim=Claim(h(10), h(20), "cleared", ("/crm", "e")), ended_known=h(22))
CORRECTED = replace(
    ENDED,
    claim=Claim(h(8), h(15), "cleared", ("/crm", "late")),
    earlier=((h(30), ENDED.claim),),
    ended_known=h(30),
)


@pytest.mark.parametrize(
    ("valid", "known", "seen"),
    [
        (9, 50, None),  # it had not begun
        (10, None, (10, None, "firing")),
        (50, 10, None),  # nobody had seen it yet
        (50, 11, (10, None, "firing")),
        (19, 50, (10, None, "firing")),
        (20, 50, (10, 20, "resolved")),
        (50, 21, (10, None, "firing")),  # its end had not been written
        (50, 22, (10, 20, "resolved")),
    ],
)
def test_as_of_two_instants(
    valid: float, known: float | None, seen: tuple[float, float | None, str] | None
) -> None:
    found = shown(ENDED, h(valid), None if known is None else h(known))
    assert _story(found) == _expected(seen)


@pytest.mark.parametrize(
    ("valid", "known", "seen"),
    [
        (50, None, (8, 15, "resolved")),
        (9, None, (8, None, "firing")),
        (50, 30, (8, 15, "resolved")),
        (50, 29, (10, 20, "resolved")),
        (9, 29, None),  # as was known then it began later
        (50, 19, (10, None, "firing")),
    ],
)
def test_before_a_correction_it_says_what_it_said_then(
    valid: float, known: float | None, seen: tuple[float, float | None, str] | None
) -> None:
    found = shown(CORRECTED, h(valid), None if known is None else h(known))
    assert _story(found) == _expected(seen)


@pytest.mark.parametrize(
    ("known", "seen"),
    [
        (21, (10, None, "firing")),
        (22, (10, 20, "resolved")),
        (29, (10, 20, "resolved")),
        (30, (8, 20, "resolved")),
    ],
)
def test_an_end_that_a_correction_leaves_is_known_as_before(
    known: float, seen: tuple[float, float | None, str]
) -> None:
    moved = replace(ENDED.claim, started_at=h(8))
    found = shown(replace(ENDED, claim=moved, earlier=((h(30), ENDED.claim),)), h(50), h(known))
    assert _story(found) == _expected(seen)


def test_an_end_that_was_taken_back_and_told_again_was_known_between() -> None:
    """When it was told first is not kept: as if when it came about."""
    again = replace(
        ENDED, claim=replace(ENDED.claim), earlier=((h(30), ENDED.claim),), ended_known=h(45)
    )
    seen = [_story(shown(again, h(50), h(known))) for known in (19, 20, 30, 44, 45)]
    open_, over = _expected((10, None, "firing")), _expected((10, 20, "resolved"))
    assert seen == [open_, over, open_, open_, over]


def test_the_event_is_that_of_the_claim() -> None:
    for known, event in ((None, "late"), (29, "e")):
        found = shown(CORRECTED, h(50), None if known is None else h(known))
        assert found is not None
        assert found.claim.event == ("/crm", event)


def test_taken_on_from_then_on_until_its_end() -> None:
    taken = replace(ENDED, acknowledged_at=h(15))
    for valid, known, state in (
        (14, 50, "firing"),
        (15, 50, "acknowledged"),
        (50, 14, "firing"),
        (20, 50, "resolved"),
    ):
        found = shown(taken, h(valid), h(known))
        assert found is not None
        assert found.state == state, (valid, known)


def _story(found: ShownAlert | None) -> object:
    return found and (found.claim.started_at, found.claim.resolved_at, found.state)


def _expected(seen: tuple[float, float | None, str] | None) -> object:
    if seen is None:
        return None
    start, end, state = seen
    return h(start), None if end is None else h(end), state
