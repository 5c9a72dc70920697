"""Several stretches of one clock: late ones before, between or instead leave the others alone."""

from typing import Any

from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import Desk, Says, rule
from tests.unit.alerts.facts import created, ev, facts_of, h

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
    assert look(on, SMALL, worth(9, 3_000)) == [("corrected", 9, only.alert_id)]


def test_keys_stay_unique_and_are_never_given_anew() -> None:
    on = desk()
    look(on, SMALL, worth(9, 3_000))
    look(on, SMALL, worth(6, 2_000), worth(7, 500), worth(9, 3_000))
    assert [(alert.started_at, alert.key[2]) for alert in on.standing] == [(h(9), 0), (h(6), 1)]
