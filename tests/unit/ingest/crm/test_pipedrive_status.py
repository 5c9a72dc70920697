"""Pipedrive's outcomes where `previous` does not name `status`: it is not reliably complete."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.crm.model import Refresh
from services.ingest.domain.crm.pipedrive import translate
from tests.unit.ingest.crm.checks import (
    ANYTHING,
    delivery,
    every_order,
    places,
    state,
    survives,
    with_value,
)
from tests.unit.ingest.crm.test_pipedrive import (
    BY,
    LIFE,
    OLD,
    PIPE,
    PIPES,
    RECORD,
    change,
    told,
    v1,
    v2,
)

NOW, LONG_AGO = "2026-03-02T08:00:01Z", "2026-02-01T08:00:00Z"
WON = {"status": "won", "won_time": NOW, "close_time": NOW}
LOST = {"status": "lost", "lost_time": NOW, "close_time": NOW, "lost_reason": "price"}
SINCE_LONG = {"status": "won", "won_time": LONG_AGO, "close_time": LONG_AGO, "update_time": NOW}
UNREAD = [Refresh("deal", "8", "partial")]


def outcomes(body: Any) -> list[tuple[str, Any]]:
    return [(type_, data) for type_, data in told(body) if type_ != "deal.updated"]


def refreshes(body: Any) -> list[Refresh]:
    return list(translate(delivery(body), PIPE).refreshes)


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (WON, {"won_time": None, "update_time": LONG_AGO}, ("deal.won", {})),
        (WON, {"close_time": None}, ("deal.won", {})),
        (WON, {"lost_time": LONG_AGO}, ("deal.won", {})),
        (WON, {"status": None, "won_time": None}, ("deal.won", {})),
        (LOST, {"lost_time": None}, ("deal.lost", {"reason_text": "price"})),
        (LOST, {"close_time": None}, ("deal.lost", {"reason_text": "price"})),
        (LOST, {"won_time": LONG_AGO}, ("deal.lost", {"reason_text": "price"})),
        ({}, {"won_time": LONG_AGO}, ("deal.reopened", {"stage_id": "2"})),
        ({}, {"lost_time": LONG_AGO}, ("deal.reopened", {"stage_id": "2"})),
        ({}, {"close_time": LONG_AGO}, ("deal.reopened", {"stage_id": "2"})),
    ],
)
def test_named_times_of_the_outcome_show_it(
    now: Any, before: Any, expected: tuple[str, Any]
) -> None:
    body = change(now, before)
    assert outcomes(body) == [(expected[0], BY | expected[1])]
    assert refreshes(body) == []


@pytest.mark.parametrize("previous", [{}, None, {"title": "x"}, {"update_time": LONG_AGO}])
@pytest.mark.parametrize(
    ("now", "type_"),
    [
        (WON, "deal.won"),
        (LOST, "deal.lost"),
        (WON | {"won_time": LONG_AGO, "update_time": LONG_AGO}, "deal.won"),
        (WON | {"won_time": None}, "deal.won"),
    ],
)
def test_an_outcome_of_this_very_moment_shows_by_itself(
    now: Any, type_: str, previous: Any
) -> None:
    body = change(now, previous)
    assert [kind for kind, _ in outcomes(body)] == [type_]
    assert refreshes(body) == []


def test_an_edit_long_after_the_outcome_tells_no_outcome() -> None:
    for before in ({"title": "x"}, {"stage_id": 3}, {}, None):
        body = change(SINCE_LONG, before)
        assert outcomes(body) == []
        assert refreshes(body) == []


@pytest.mark.parametrize("now", [{}, {"won_time": None, "lost_time": None, "close_time": None}])
def test_an_edit_of_an_open_deal_tells_no_outcome(now: Any) -> None:
    for before in ({"title": "x"}, {"won_time": None}, {}, None):
        body = change(now, before)
        assert outcomes(body) == []
        assert refreshes(body) == []


@pytest.mark.parametrize(
    ("now", "before"),
    [
        ({"status": "won"}, {"title": "x"}),
        ({"status": "lost"}, {}),
        ({"status": "deleted"}, {"title": "x"}),
        ({}, {"lost_reason": "price"}),
        ({"won_time": NOW}, {"won_time": LONG_AGO}),
        ({"status": None}, {"won_time": None}),
    ],
)
def test_what_does_not_show_has_to_be_read(now: Any, before: Any) -> None:
    body = change(now, before)
    assert outcomes(body) == []
    assert refreshes(body) == UNREAD


def test_a_record_without_times_whose_status_is_named_needs_no_reading() -> None:
    for before in ({"status": "open"}, {"status": "lost"}):
        assert refreshes(change({"status": "won"}, before)) == []


def test_version_1_tells_all_that_changed() -> None:
    for now in (OLD | {"status": "won"}, OLD | {"status": "deleted"}):
        body = v1("updated", now | {"title": "P"}, now)
        assert outcomes(body) == []
        assert refreshes(body) == []
    body = v1("updated", OLD | WON | {"won_time": LONG_AGO}, OLD | WON)
    assert outcomes(body) == []


def test_a_win_with_a_move_ends_won_and_moves() -> None:
    body = change(WON | {"stage_id": 3}, {"won_time": None, "stage_id": 2})
    assert [type_ for type_, _ in told(body)] == ["deal.stage_changed", "deal.updated", "deal.won"]


UNNAMED = [
    *LIFE[:3],
    change(WON | {"value": 150, "stage_id": 3, "won_time": "2026-03-02T08:00:03Z"},
           {"won_time": None, "update_time": LONG_AGO}, 3),
    change(WON | {"value": 150, "stage_id": 3, "won_time": "2026-03-02T08:00:03Z", "title": "P"},
           {"won_time": LONG_AGO, "title": "Pumps"}, 4),
]  # fmt: skip


def test_a_life_with_an_unnamed_win_told_twice_is_the_same_in_any_order() -> None:
    for arrived in every_order(UNNAMED, translate, PIPE):
        facts = state(arrived, "8", PIPES).facts
        assert (facts.status, facts.name, facts.life) == ("won", "P", 1)
        assert facts.closed_at == datetime(2026, 3, 2, 8, 0, 3, 724_000, UTC)


def test_a_life_with_an_unnamed_reopening_is_open_in_any_order() -> None:
    again = change({"value": 150, "stage_id": 3, "won_time": None}, {"won_time": NOW}, 9)
    for arrived in every_order([*UNNAMED, again], translate, PIPE):
        facts = state(arrived, "8", PIPES).facts
        assert (facts.status, facts.stage_id, facts.life) == ("open", "3", 2)


def test_a_new_deal_that_is_closed_needs_no_reading() -> None:
    for status in ("won", "lost", "deleted"):
        assert refreshes(v2("create", RECORD | {"status": status})) == []


@given(st.data(), ANYTHING)
def test_any_value_in_any_field_is_survived(data: st.DataObject, value: Any) -> None:
    for sample in (change(WON, {"won_time": None}), change({}, {"close_time": LONG_AGO})):
        path = data.draw(st.sampled_from(list(places(sample))))
        survives(translate, PIPE, with_value(sample, path, value))
