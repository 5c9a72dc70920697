"""Deletion, restoring and merging; what lies ahead; dimensions from accounts and owners."""

from services.funnel.domain.inputs import Inputs
from services.funnel.domain.model import FoldEvent
from services.funnel.domain.project import project
from services.funnel.domain.routing import conflicting_merges
from tests.unit.funnel.domain.history import defined, ev, h, rows, stage, state, stays


def test_a_deletion_ends_the_open_visit_and_restoring_takes_it_back() -> None:
    events = [stage(0, "lead"), ev(2, "deal.deleted", known=2)]
    assert stays(events, defined()) == [("lead", 0, 2, "deleted")]
    assert state(events, defined()).facts.status == "deleted"
    restored = [*events, ev(4, "deal.restored")]
    assert stays(restored, defined()) == [("lead", 0, None, None)]
    now = state(restored, defined()).facts
    assert (now.status, now.stage_entered_at) == ("open", h(0))


def test_what_happens_while_deleted_shows_only_after_restoring() -> None:
    events = [stage(0, "lead"), ev(1, "deal.deleted"), stage(2, "offer")]
    assert stays(events, defined()) == [("lead", 0, 1, "deleted")]
    restored = [*events, ev(3, "deal.restored")]
    assert stays(restored, defined()) == [("lead", 0, 2, "left"), ("offer", 2, None, None)]


def merge(at: float, survivor: str, *merged: str, known: float | None = None) -> FoldEvent:
    return ev(at, "deal.merged", survivor, known=known, merged_deal_ids=list(merged))


def test_a_merged_deal_ends_and_later_events_fold_into_the_survivor() -> None:
    events = [
        stage(0, "lead", "a"),
        stage(0, "lead", "b"),
        merge(2, "a", "b"),
        stage(3, "offer", "b"),
    ]
    assert stays(events, defined(), "b") == [("lead", 0, 2, "merged")]
    assert stays(events, defined(), "a") == [("lead", 0, 3, "left"), ("offer", 3, None, None)]
    gone = state(events, defined(), "b").facts
    assert (gone.status, gone.merged_into) == ("merged", "a")
    assert state(events, defined(), "b", at=1).facts.status == "open"


def test_events_up_to_the_merge_stay_with_the_merged_deal() -> None:
    events = [
        stage(0, "lead", "a"),
        stage(0, "lead", "b"),
        stage(2, "offer", "b"),
        merge(2, "a", "b"),
    ]
    assert [s[0] for s in stays(events, defined(), "b")] == ["lead", "offer"]
    assert [s[0] for s in stays(events, defined(), "a")] == ["lead"]


def call(at: float, deal: str, activity_id: str) -> FoldEvent:
    return ev(at, "activity.logged", deal, activity_id=activity_id, kind="call")


def test_the_survivor_takes_over_activities_of_all_time() -> None:
    planned = ev(1, "activity.scheduled", "b", activity_id="p", scheduled_for=h(9).isoformat())
    events = [
        call(0, "b", "x"),
        planned,
        stage(1, "lead", "a"),
        merge(2, "a", "b"),
        call(3, "a", "y"),
    ]
    survivor = state(events, defined(), "a").activity
    assert (survivor.activity_count, survivor.first_activity_at) == (2, h(0))
    assert survivor.next_planned_at == h(9)
    assert state(events, defined(), "a", at=1).activity.activity_count == 0


def test_a_chain_of_merges_ends_in_the_last_survivor() -> None:
    events = [stage(0, "lead", d) for d in "abc"] + [merge(1, "b", "a"), merge(2, "c", "b")]
    events.append(stage(3, "offer", "a"))
    assert stays(events, defined(), "c")[-1][0] == "offer"


def test_a_merge_that_would_close_a_cycle_has_no_effect() -> None:
    events = [stage(0, "lead", "a"), stage(0, "lead", "b"), merge(1, "a", "b"), merge(2, "b", "a")]
    assert state(events, defined(), "a").facts.status == "open"
    assert conflicting_merges(events) == [events[-1]]
    assert conflicting_merges([merge(0, "a", "a")]) != []


def test_a_merge_known_later_leaves_what_was_known_before() -> None:
    events = [
        stage(0, "lead", "a"),
        stage(0, "lead", "b"),
        stage(3, "offer", "b"),
        merge(1, "a", "b", known=5),
    ]
    known = [
        (v.row.stage_id, v.known_from, v.known_to) for v in rows(events, defined(), "b").visits
    ]
    assert known == [
        ("lead", h(0), h(3)),
        ("lead", h(3), h(5)),
        ("lead", h(5), None),
        ("offer", h(3), h(5)),
    ]


def test_what_lies_ahead_is_history_but_not_the_state() -> None:
    events = [stage(0, "lead"), stage(5, "offer", known=0)]
    projection = project(events, defined(), h(1))["d"]
    assert projection.state is not None
    assert projection.state.facts.stage_id == "lead"
    assert projection.wake_at == h(5)
    assert [v.row.stage_id for v in projection.visits] == ["lead", "offer"]
    assert project(events[1:], defined(), h(1))["d"].state is None


def with_context(*context: FoldEvent) -> Inputs:
    refs: dict[tuple[str, str], list[FoldEvent]] = {}
    for event in context:
        refs.setdefault((event.type.partition(".")[0], event.subject), []).append(event)
    return Inputs("EUR", defined().pipelines, refs)


def test_a_missing_dimension_is_the_accounts_value_of_that_time() -> None:
    inputs = with_context(
        ev(1, "account.upserted", "a1", region="north", industry="steel"),
        ev(3, "account.upserted", "a1", region="south"),
        ev(0, "user.upserted", "u1", team_id="t1"),
    )
    events = [ev(0, "deal.created", account_id="a1", owner_id="u1", industry="food")]
    spans = [known.row for known in rows(events, inputs).spans if known.known_to is None]
    assert [(s.valid_from, s.facts.region, s.facts.industry, s.facts.team_id) for s in spans] == [
        (h(0), None, "food", "t1"),
        (h(1), "north", "food", "t1"),
        (h(3), "south", "food", "t1"),
    ]


def test_an_account_learned_later_changes_only_what_is_known_from_then_on() -> None:
    inputs = with_context(ev(0, "account.upserted", "a1", known=8, region="north"))
    spans = rows([ev(0, "deal.created", account_id="a1")], inputs).spans
    assert [(s.row.facts.region, s.known_from, s.known_to) for s in spans] == [
        (None, h(0), h(8)),
        ("north", h(8), None),
    ]
