"""How a visit ended, in the words of an order of stages."""

import pytest

from services.funnel.domain.exits import shown_exit
from services.funnel.domain.model import Exit, Visit
from tests.unit.funnel.domain.history import h

ORDER = {("p", "lead"): 1, ("p", "offer"): 2, ("p", "demo"): 3, ("q", "lead"): 9}


def visit(stage_id: str, how: Exit | None, then: str | None = None) -> Visit:
    return Visit(1, "p", stage_id, "open", h(0), h(1), how, then, None, "crm", "e")


@pytest.mark.parametrize("how", [None, "won", "lost", "moved", "merged", "deleted"])
def test_what_needs_no_order_is_said_as_it_is(how: Exit | None) -> None:
    assert shown_exit(visit("offer", how, "lead"), ORDER) == how


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("lead", "offer", "advance"),
        ("lead", "demo", "advance"),
        ("demo", "offer", "back"),
        ("offer", None, "back"),
        ("offer", "unknown", "back"),
        ("unknown", "lead", "advance"),
        ("unknown", "other", "back"),
    ],
)
def test_leaving_is_an_advance_or_a_step_back(here: str, there: str | None, expected: str) -> None:
    assert shown_exit(visit(here, "left", there), ORDER) == expected


def test_another_order_turns_the_verdict() -> None:
    turned = {key: -place for key, place in ORDER.items()}
    assert shown_exit(visit("lead", "left", "offer"), turned) == "back"
