"""Several stretches of one clock: late ones before, between or instead leave the others alone."""

from typing import Any

from services.alerts.domain.rule import MetBy
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import Desk, Says, rule
from tests.unit.alerts.facts import called, created, ev, facts_of, h, moved

LARGE = Says("deal.amount > 1000", lambda deal: float(deal["amount"] or 0) > 1_000)
NOW = 20


def worth(hour: float, amount: int) -> FoldEvent:
    return ev(hour, "deal.updated", changes={"amount": str(amount)})


def desk() -> Desk:
    return Desk(rule("created_at", 5, scope=LARGE))


def look(desk: Desk, *events: FoldEvent) -> list[Any]:
    """What is told anew: `(type, hour, alert)`."""
    told = desk.look(facts_of(list(events)), h(NOW)).told
    return [
        (record.type.removeprefix("alert."), (record.at - h(0)).total_seconds() / 3_600,
         record.alert.alert_id)
        for record in told
    ]  # fmt: skip


SMALL = created(0, amount="500")


def test_a_deal_that_is_back_in_trouble_within_its_clock_has_an_alert_again() -> None:
    """By one alert for each clock it would stay overdue with no alert that stands, however long."""
    on, events = desk(), [SMALL, worth(6, 2_000), worth(7, 500), worth(9, 3_000)]
    told = []
    for hour in (6, 7, 9, NOW):
        known = facts_of(events[: 2 + (hour > 6) + (hour > 7)])
        told += [(record.type, record.at) for record in on.look(known, h(hour)).told]
    fired, resolved = "alert.fired", "alert.resolved"
    assert told == [(fired, h(6)), (resolved, h(7)), (fired, h(9))]
    first, second = on.standing
    assert first.key[:2] == second.key[:2]
    assert (first.resolution, second.is_open) == ("cleared", True)


def test_a_late_stretch_before_another_is_news_and_leaves_it_alone() -> None:
    on = desk()
    assert look(on, SMALL, worth(9, 3_000)) == [("fired", 9, "alert-1")]
    late = worth(6, 2_000), worth(7, 500)
    assert look(on, SMALL, *late, worth(9, 3_000)) == [
        ("fired", 6, "alert-2"), ("resolved", 7, "alert-2"),
    ]  # fmt: skip


def test_a_stretch_that_never_was_is_retracted_and_the_later_one_stands() -> None:
    on, early = desk(), (worth(6, 2_000), worth(7, 500))
    look(on, SMALL, *early, worth(9, 3_000))
    first, second = on.standing
    assert look(on, SMALL, worth(9, 3_000)) == [("corrected", 6, first.alert_id)]
    assert on.alerts[first.alert_id].resolution == "retracted"
    assert on.alerts[second.alert_id] == second


def test_a_stretch_that_turns_out_longer_keeps_its_alert() -> None:
    on = desk()
    look(on, SMALL, worth(6, 2_000), worth(7, 500), worth(9, 3_000))
    first, second = on.standing
    moved = look(on, SMALL, worth(5.5, 2_000), worth(7, 500), worth(9, 3_000))
    assert moved == [("corrected", 5.5, first.alert_id)]
    assert on.alerts[second.alert_id] == second


def test_two_stretches_that_turn_out_to_be_one_leave_one_alert() -> None:
    on = desk()
    look(on, SMALL, worth(6, 2_000), worth(7, 500), worth(9, 3_000))
    first, second = on.standing
    told = look(on, SMALL, worth(6, 2_000), worth(9, 3_000))
    assert sorted(told) == [("corrected", 6, first.alert_id), ("corrected", 9, second.alert_id)]
    assert [alert.alert_id for alert in on.standing] == [first.alert_id]
    assert on.alerts[first.alert_id].is_open


def test_the_only_stretch_moves_however_far() -> None:
    on = desk()
    look(on, SMALL, worth(6, 2_000), worth(7, 500))
    (only,) = on.standing
    assert look(on, SMALL, worth(9, 3_000), worth(11, 500)) == [("corrected", 9, only.alert_id)]


def test_what_is_over_is_not_revived_by_a_stretch_that_it_has_no_instant_in_common_with() -> None:
    on = desk()
    look(on, SMALL, worth(6, 2_000), worth(7, 500))
    assert look(on, SMALL, worth(9, 3_000)) == [
        ("corrected", 6, "alert-1"), ("fired", 9, "alert-2"),
    ]  # fmt: skip
    assert on.alerts["alert-1"].resolution == "retracted"


def test_keys_stay_unique_and_are_never_given_anew() -> None:
    on = desk()
    look(on, SMALL, worth(9, 3_000))
    look(on, SMALL, worth(6, 2_000), worth(7, 500), worth(9, 3_000))
    assert [(alert.started_at, alert.key[2]) for alert in on.standing] == [(h(9), 0), (h(6), 1)]


def test_an_open_alert_keeps_its_stretch_before_a_closed_one_takes_it() -> None:
    on = desk()
    look(on, SMALL, worth(6, 2_000), worth(7, 500), worth(9, 3_000))
    closed, open_ = on.standing
    look(on, SMALL, worth(5.2, 2_000), worth(5.4, 500), worth(6.5, 2_000))
    assert on.alerts[open_.alert_id].is_open
    assert on.alerts[open_.alert_id].started_at == h(6.5)
    assert on.alerts[closed.alert_id].resolved_at == h(5.4)


def test_a_clock_that_has_stopped_since_is_known_by_its_stop() -> None:
    """Else a later correction would move the alert to a clock that it has no instant in common
    with, or not, as looks fell."""
    large_offer = Says(
        "a large offer",
        lambda deal: deal["stage_id"] == "offer" and float(deal["amount"] or 0) > 1_000,
    )
    of = rule("stage_entered_at", 5, scope=large_offer, met_by=MetBy())
    first = [created(0, amount="2000"), moved(1, "offer", "e1"), worth(7, 500)]
    then = [*first, moved(10, "lead"), moved(11, "offer", "e2"), worth(12, 2_000)]
    late = [moved(0.5, "offer", "e0"), called(0.6)]
    ends = []
    for looks in ([20], [13, 20]):
        on = Desk(of)
        on.look(facts_of(first), h(8))
        on.look(facts_of(then), h(13))
        for now in looks:
            on.look(facts_of([*then, *late]), h(now))
        ends.append(sorted((a.started_at, a.alert_id, a.resolution) for a in on.alerts.values()))
    assert ends[0] == ends[1]


def test_a_start_is_not_moved_to_where_facts_may_still_be_on_their_way() -> None:
    on, later = desk(), facts_of([SMALL, worth(12, 3_000)])
    on.look(facts_of([SMALL, worth(9, 3_000)]), h(10))
    assert on.look(later, h(13), sure=h(11)).told == []
    assert [alert.started_at for alert in on.standing] == [h(9)]
    assert [record.at for record in on.look(later, h(13), sure=h(12)).told] == [h(12)]
