"""A deal's own fields: together they stay within 64 KiB, whatever its events bring."""

from itertools import permutations
from typing import Any

import pytest

from libs.common.contracts.catalogue import MAX_ATTRIBUTES_BYTES
from services.funnel.domain.model import FoldEvent
from tests.unit.funnel.domain.history import UNDEFINED, ev, h, rows, state

BIG, HUGE = "x" * 40_000, "é" * 32_000


def kept(events: list[FoldEvent], at: float = 1000) -> dict[str, Any]:
    return state(events, UNDEFINED, at=at).facts.attributes


def put(at: float, known: float | None = None, **attributes: Any) -> FoldEvent:
    changes = {f"attributes.{name}": value for name, value in attributes.items()}
    return ev(at, "deal.updated", known=known, changes=changes)


def test_what_would_exceed_the_limit_leaves_all_attributes_as_they_were() -> None:
    created = ev(0, "deal.created", attributes={"a": BIG})
    over = ev(1, "deal.updated", changes={"attributes.b": BIG, "attributes.a": 1, "name": "N"})
    assert kept([created, put(1, b=BIG)]) == {"a": BIG}
    assert kept([created, over]) == {"a": 1, "b": BIG}
    assert kept([created, put(1, b=BIG, c=1)]) == {"a": BIG}
    named = ev(1, "deal.updated", changes={"attributes.b": BIG, "name": "N"})
    assert state([created, named], UNDEFINED).facts.name == "N"


def test_a_second_creation_is_bounded_as_well() -> None:
    twice = [ev(n, "deal.created", attributes={f"a{n}": BIG}) for n in range(2)]
    assert kept(twice) == {"a0": BIG}


def test_room_that_was_cleared_can_be_used_again() -> None:
    events = [put(0, a=BIG), put(1, a=None), put(2, b=BIG), put(3, c=BIG)]
    assert kept(events) == {"b": BIG}
    assert kept([put(0, a=BIG, c=1), put(1, a=None, b=BIG)]) == {"b": BIG, "c": 1}


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_the_limit_is_in_bytes_of_the_canonical_form(more: int, fits: bool) -> None:
    rest = MAX_ATTRIBUTES_BYTES - len('{"a":"","b":""}') - len(HUGE.encode()) + more
    assert ("b" in kept([put(0, a=HUGE), put(1, b="x" * rest)])) is fits


def test_no_order_of_arrival_matters_and_each_known_past_stands() -> None:
    events = [put(1, a=BIG), put(2, known=3, b=BIG), put(0, known=5, c=BIG)]
    first, *others = (rows(list(each), UNDEFINED) for each in permutations(events))
    assert all((o.state, o.spans) == (first.state, first.spans) for o in others)
    believed = {k.known_from: k.row.facts.attributes for k in first.spans if k.known_to is None}
    assert believed == {h(5): {"c": BIG}}
    before = {k.known_from: k.row.facts.attributes for k in first.spans if k.known_to == h(5)}
    assert before == {h(1): {"a": BIG}}
