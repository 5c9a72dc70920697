"""Stages, outcomes and lives of one deal (api.md 4, architecture.md 14)."""

from decimal import Decimal

from services.funnel.domain.inputs import Inputs
from tests.unit.funnel.domain.history import (
    B2B,
    START,
    UNDEFINED,
    defined,
    ev,
    h,
    rows,
    stage,
    state,
    stays,
)


def test_a_created_deal_without_a_stage_enters_the_first_open_stage() -> None:
    assert stays([ev(0, "deal.created")], defined()) == [("lead", 0, None, None)]
    assert stays([ev(0, "deal.created")], UNDEFINED) == []


def test_a_deal_exists_from_its_first_event_on_whatever_that_is() -> None:
    events = [ev(1, "activity.logged", activity_id="x", kind="call"), stage(2, "offer")]
    assert state(events, defined()).facts.created_at == h(1)
    assert state(events, defined(), at=1.5).facts.status == "open"
    later = [*events, ev(3, "deal.created", stage_id="offer")]
    assert state(later, defined()).facts.created_at == h(3)


def test_a_stage_of_a_closing_class_closes_and_an_open_one_reopens() -> None:
    events = [stage(0, "lead"), stage(1, "signed"), stage(2, "offer")]
    assert stays(events, defined()) == [
        ("lead", 0, 1, "won"),
        ("signed", 1, 2, "left"),
        ("offer", 2, None, None),
    ]
    assert state(events, defined(), at=1).facts.closed_at == h(1)
    assert state(events, defined()).facts.closed_at is None
    assert state(events, defined()).facts.life == 2


def test_closed_at_is_the_first_entry_into_the_closing_class_of_this_life() -> None:
    won = defined((0, {"lead": "open", "a": "won", "b": "won", "gone": "lost"}))
    events = [stage(0, "lead"), stage(1, "a"), stage(2, "b")]
    assert state(events, won).facts.closed_at == h(1)
    assert state([*events, ev(3, "deal.lost")], won).facts.closed_at == h(3)
    assert state([*events, ev(3, "deal.won")], won).facts.stage_id == "b"


def test_won_and_lost_move_into_the_first_stage_of_that_class() -> None:
    events = [stage(0, "offer"), ev(1, "deal.won", amount="12.5", currency="USD")]
    now = state(events, defined()).facts
    assert (now.status, now.stage_id, now.amount, now.currency) == (
        "won",
        "signed",
        Decimal("12.5"),
        "USD",
    )
    lost = state([stage(0, "offer"), ev(1, "deal.lost", reason_code="price")], UNDEFINED).facts
    assert (lost.status, lost.stage_id, lost.lost_reason) == ("lost", "lost", "price")


def test_a_registered_closing_stage_gives_way_to_a_published_open_one_of_its_name() -> None:
    odd = defined((0, {"lead": "open", "won": "open"}))
    assert state([stage(0, "lead"), ev(1, "deal.won")], odd).facts.stage_id == "_won"


def test_activities_never_reopen() -> None:
    events = [
        stage(0, "offer"),
        ev(1, "deal.lost"),
        ev(2, "activity.completed", activity_id="x", kind="call"),
    ]
    now = state(events, defined())
    assert (now.facts.status, now.activity.activity_count) == ("lost", 1)


def test_a_reopening_without_a_stage_enters_the_last_open_one() -> None:
    events = [stage(0, "lead"), stage(1, "offer"), ev(2, "deal.lost"), ev(3, "deal.reopened")]
    assert stays(events, defined())[-1] == ("offer", 3, None, None)
    no_stage = [ev(0, "deal.won"), ev(1, "deal.reopened")]
    assert state(no_stage, UNDEFINED).facts.status == "open"
    assert state(no_stage, UNDEFINED).facts.stage_id is None
    assert stays(no_stage, defined())[-1] == ("lead", 1, None, None)


def test_a_reopening_of_an_open_deal_changes_nothing() -> None:
    events = [stage(0, "lead"), ev(1, "deal.reopened")]
    assert stays(events, defined()) == [("lead", 0, None, None)]
    assert state(events, defined()).facts.life == 1


def test_events_of_one_instant_follow_their_sequence_as_an_integer() -> None:
    events = [stage(1, "signed", sequence=10), stage(1, "offer", sequence=9), stage(1, "lead")]
    assert [s[0] for s in stays(events, defined())] == ["lead", "offer", "signed"]
    assert [known.row.facts.stage_id for known in rows(events, defined()).spans] == ["signed"]


def test_a_creation_comes_first_in_its_instant() -> None:
    events = [stage(0, "offer", sequence=1), ev(0, "deal.created", sequence=9, stage_id="lead")]
    assert [s[0] for s in stays(events, defined())] == ["lead", "offer"]


def test_the_first_pipeline_named_counts_from_the_first_event_on_and_is_no_move() -> None:
    events = [stage(0, "lead"), stage(1, "offer", pipeline_id="b2b")]
    inputs = defined(pipeline_id="b2b")
    assert stays(events, inputs) == [("lead", 0, 1, "left"), ("offer", 1, None, None)]
    first = next(span for span in rows(events, inputs).spans if span.known_to is None)
    assert (first.row.valid_from, first.row.facts.pipeline_id) == (h(0), "b2b")
    assert rows(events[:1], inputs).spans[0].row.facts.pipeline_id == "default"


def test_naming_a_pipeline_later_corrects_what_was_known() -> None:
    events = [stage(0, "lead"), ev(5, "deal.updated", known=7, changes={"pipeline_id": "b2b"})]
    known = [(v.row.pipeline_id, v.known_from) for v in rows(events, UNDEFINED).visits]
    assert known == [("default", h(0)), ("b2b", h(7))]


def test_another_pipeline_is_a_move() -> None:
    events = [
        stage(0, "lead", pipeline_id="b2b"),
        stage(1, "lead", pipeline_id="renewal"),
        ev(2, "deal.updated", changes={"pipeline_id": "b2b"}),
    ]
    assert [s[0:4:3] for s in stays(events, defined(pipeline_id="b2b"))] == [
        ("lead", "moved"),
        ("lead", "moved"),
        ("lead", None),
    ]


def test_updates_with_a_stage_fold_as_stage_changes() -> None:
    events = [stage(0, "lead"), ev(1, "deal.updated", changes={"stage_id": "gone"})]
    assert state(events, defined()).facts.status == "lost"


def test_updates_set_clear_and_count_pushes() -> None:
    events = [
        ev(0, "deal.created", amount="10", expected_close_date="2026-04-01", attributes={"a": 1}),
        ev(1, "deal.updated", changes={"expected_close_date": "2026-05-01", "attributes.b": [2]}),
        ev(2, "deal.updated", changes={"expected_close_date": "2026-04-15", "attributes.a": None}),
        ev(3, "deal.updated", changes={"expected_close_date": "2026-04-16", "amount": None}),
    ]
    now = state(events, defined()).facts
    assert (now.push_count, now.amount, now.attributes) == (2, None, {"b": [2]})
    assert state(events, defined(), at=0).facts.currency == "EUR"


def test_a_class_that_is_republished_changes_what_is_known_from_then_on() -> None:
    inputs = defined((0, B2B), (10, B2B | {"offer": "won"}))
    spans = rows([stage(0, "offer")], inputs).spans
    assert [(s.row.facts.status, s.known_from, s.known_to) for s in spans] == [
        ("open", h(0), h(10)),
        ("won", h(10), None),
    ]


def test_a_stage_named_only_by_a_later_version_has_that_class_from_the_beginning() -> None:
    inputs = defined((0, {"lead": "open"}), (10, {"lead": "open", "signed": "won"}))
    spans = rows([stage(0, "signed")], inputs).spans
    assert [(s.row.facts.status, s.known_from) for s in spans] == [("won", START)]


def test_a_removed_stage_keeps_its_class() -> None:
    inputs = defined((0, B2B), (10, {"lead": "open"}))
    assert state([stage(0, "signed")], inputs).facts.status == "won"


def test_a_deal_undefined_is_open_in_discovered_stages() -> None:
    now = state([stage(0, "mystery")], Inputs("EUR")).facts
    assert (now.status, now.stage_class, now.pipeline_id) == ("open", "open", "default")
