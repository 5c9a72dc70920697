"""A rule that was off or deleted for a while: it ends its alerts, whether anybody looked or not."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.app.compiling import StoredRule
from services.alerts.app.definition import RuleDefinition
from services.alerts.app.publishing import deleted, next_version
from services.alerts.domain.alert import Told
from services.alerts.domain.rule import Rule
from services.alerts.domain.timeline import Facts
from tests.unit.alerts.desk import Desk, rule
from tests.unit.alerts.facts import created, h, moved
from tests.unit.alerts.strategies import facts, hours, rules
from tests.unit.alerts.test_edits import look
from tests.unit.alerts.test_reconcile_laws import END, instants, said, steps

BODY: dict[str, Any] = {
    "name": "r", "scope": "true", "clock": {"start": "stage_entered_at", "limit": "PT10H"},
}  # fmt: skip


class Shelf:
    """Versions of one rule as they are published; each judges as the rule that it is given."""

    def __init__(self) -> None:
        self.stored: StoredRule | None = None

    def put(self, hour: float, of: Rule, mode: str = "live") -> Rule:
        """A scope's source stands for all that decides how a version judges."""
        definition = RuleDefinition.model_validate(BODY | {"scope": str(id(of)), "mode": mode})
        held, at = self.stored, h(hour)
        return self._rule(next_version(held, ("t", "r"), definition, at, h(0), "me"), of)

    def delete(self, hour: float, of: Rule) -> Rule:
        assert self.stored is not None
        return self._rule(deleted(self.stored, h(hour), h(0), "me"), of)

    def _rule(self, stored: StoredRule, of: Rule) -> Rule:
        self.stored = stored
        return Rule(
            "r", stored.version, of.name, stored.mode == "live", of.scope, of.clock,
            stored.effective_from, stored.changed_at, of.catch_up,
            judges_since=stored.judges_since, judges_from=stored.judges_from,
            withdrawals=stored.withdrawals,
        )  # fmt: skip

    def change(self, how: str, hour: float, of: Rule) -> Rule:
        return self.delete(hour, of) if how == "delete" else self.put(hour, of, how)


RULE = rule()


def lived(changes: Sequence[tuple[str, float]], looks: bool, *events: Any) -> tuple[Desk, Any]:
    """What is told after an alert of 10 was raised; `looks`: also after each change."""
    shelf = Shelf()
    desk, told = Desk(shelf.put(-1_000, RULE)), list[Any]()
    look(desk, 12, *events)
    for how, hour in changes:
        desk.rule = shelf.change(how, hour, RULE)
        told += look(desk, hour + 0.05, *events) if looks else []
    return desk, sorted(told + look(desk, 40, *events))


@pytest.mark.parametrize("looks", [True, False])
@pytest.mark.parametrize("ends", [["off"], ["delete"], ["off", "delete"], ["off", "off"]])
def test_what_a_rule_raised_ends_as_it_is_withdrawn_and_what_stands_later_is_new(
    looks: bool, ends: list[str]
) -> None:
    changes = [*((how, 20 + n) for n, how in enumerate(ends)), ("live", 30)]
    desk, told = lived(changes, looks, created(0))
    assert told == [("fired", 10, "alert-2"), ("resolved", 20, "alert-1")]
    assert desk.alerts["alert-1"].resolution == "superseded"
    assert [alert.rule_version for alert in desk.standing] == [1, len(changes) + 1]


@pytest.mark.parametrize("looks", [True, False])
def test_what_was_over_when_the_rule_came_back_is_not_raised_again(looks: bool) -> None:
    changes = [("delete", 20.0), ("live", 30.0)]
    _, told = lived(changes, looks, created(0), moved(25, "offer"))
    assert told == [("fired", 35, "alert-2"), ("resolved", 20, "alert-1")]


@pytest.mark.parametrize("looks", [True, False])
def test_the_first_withdrawal_ends_it_and_no_later_one(looks: bool) -> None:
    changes = [("off", 20.0), ("live", 21.0), ("off", 22.0), ("live", 23.0)]
    desk, _ = lived(changes, looks, created(0))
    assert (desk.alerts["alert-1"].resolved_at, desk.standing[-1].is_open) == (h(20), True)
    assert look(desk, 41, created(0)) == []


def test_a_rule_that_is_off_once_more_ends_each_alert_at_its_own_withdrawal() -> None:
    _, told = lived([("off", 20), ("delete", 25)], False, created(0))
    assert told == [("resolved", 20, "alert-1")]


ends = st.lists(st.sampled_from(("off", "delete")), min_size=1, max_size=3).filter(
    lambda found: "delete" not in found[:-1]
)


@given(facts, rules, rules, hours, ends, st.integers(0, 4), steps)
def test_to_look_after_each_change_tells_what_a_look_at_the_end_does(
    facts: Facts, first: Rule, then: Rule, at: int, ends: list[str], gap: int, steps: list[int]
) -> None:
    """A rule that is withdrawn, in one step or more, and comes back as it was or otherwise."""
    at_once, at_end = Desk(first), Desk(first)
    for desk in (at_once, at_end):
        shelf = Shelf()
        desk.rule = shelf.put(-1_000, first)
        desk.look(facts, h(at - 1))
        back = at + gap + len(ends)
        changes = [*((how, at + n) for n, how in enumerate(ends)), ("live", back)]
        for how, hour in changes:
            desk.rule = shelf.change(how, hour, then if how == "live" else first)
            if desk is at_once:
                desk.look(facts, h(hour))
        for hour in [step for step in steps if step >= back and desk is at_once]:
            desk.look(facts, h(hour))
        desk.look(facts, h(END + 8))
    assert instants(at_once.records) == instants(at_end.records)
    assert said(at_once.standing) == said(at_end.standing)
    assert evidence(at_once) == evidence(at_end)


def evidence(desk: Desk) -> list[Any]:
    """By the alerts' clocks: they are raised in an order of their own."""
    return sorted(((a.started_at, str(a.evidence)) for a in desk.standing), key=str)


@given(facts, rules, hours, st.integers(1, 3))
def test_it_does_so_for_what_was_raised_before_however_often_the_rule_comes_and_goes(
    facts: Facts, first: Rule, at: int, turns: int
) -> None:
    lives = []
    for looks in (True, False):
        shelf = Shelf()
        desk = Desk(shelf.put(-1_000, first))
        desk.look(facts, h(at))
        before = set(desk.alerts)
        for turn in range(2 * turns):
            desk.rule = shelf.change(("off", "live")[turn % 2], at + 1 + turn, first)
            if looks:
                desk.look(facts, h(at + 1 + turn))
        desk.look(facts, h(END + 8))
        lives.append([_told(desk.lives()[name]) for name in sorted(before)])
    assert lives[0] == lives[1]


def _told(records: Sequence[Told]) -> list[Any]:
    return [(one.type, one.at, one.alert.resolution, one.alert.rule_version) for one in records]


def test_a_version_knows_the_withdrawals_before_it() -> None:
    shelf = Shelf()
    for how, hour in (("live", 0), ("off", 1), ("off", 2), ("live", 3), ("delete", 4), ("live", 5)):
        found = shelf.change(how, hour, RULE)
    assert list(found.withdrawals) == [(2, h(1)), (3, h(2)), (5, h(4))]
    assert [found.withdrawn_after(version) for version in (1, 3, 4, 6)] == [h(1), h(4), h(4), None]
