"""After an edit it does not matter when somebody looks: what stood at the edit decides."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.domain.rule import Rule
from services.alerts.domain.timeline import Facts
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import Desk, Says, rule
from tests.unit.alerts.facts import created, facts_of, h
from tests.unit.alerts.strategies import facts, hours, rules
from tests.unit.alerts.test_edits import OVER_50, OVER_100, edited, look, worth
from tests.unit.alerts.test_reconcile_laws import END, instants, said, steps

SOME = Says("100 to 300", lambda deal: 100 < float(deal["amount"] or 0) <= 300)
MUCH = Says("more than 300", lambda deal: float(deal["amount"] or 0) > 300)
Told = list[tuple[str, float, str]]


def told(looks: list[float], before: float, *events: FoldEvent) -> tuple[Desk, Told]:
    """What the second version tells, looked at then; the first one was, at `before`."""
    desk = Desk(rule("created_at", scope=SOME))
    look(desk, before, *events)
    desk.rule = edited("created_at", scope=MUCH)
    return desk, [one for now in looks for one in look(desk, now, *events)]


@pytest.mark.parametrize("looks", [[21, 26, 31], [21, 31], [31]])
def test_an_alert_that_was_over_swallows_no_later_stretch(looks: list[float]) -> None:
    events = created(0, amount="200"), worth(15, 50), worth(25, 400), worth(30, 50)
    desk, records = told(looks, 18, *events)
    assert records == [("fired", 25, "alert-2"), ("resolved", 30, "alert-2")]
    assert (desk.alerts["alert-1"].resolved_at, desk.alerts["alert-1"].version) == (h(15), 2)


@pytest.mark.parametrize("looks", [[20, 26], [21, 26], [26]])
def test_what_began_after_the_edit_is_no_earlier_versions_alert(looks: list[float]) -> None:
    desk, records = told(looks, 18, created(0, amount="200"), worth(25, 400))
    assert records == [("resolved", 20, "alert-1"), ("fired", 25, "alert-2")]
    assert desk.alerts["alert-1"].resolution == "superseded"


def test_what_was_over_before_an_open_alert_began_is_not_its_stretch() -> None:
    events = created(0, amount="400"), worth(12, 200)
    desk, records = told([21], 18, *events)
    assert records == [
        ("fired", 10, "alert-2"), ("resolved", 12, "alert-2"), ("resolved", 20, "alert-1"),
    ]  # fmt: skip
    assert desk.alerts["alert-1"].resolution == "superseded"


@pytest.mark.parametrize("looks", [[20, 22, 26], [26]])
def test_of_two_stretches_the_one_that_stood_at_the_edit_goes_on(looks: list[float]) -> None:
    """Also if it is over, and the shorter one, by the time of the look."""
    wide = Says("more than 100", lambda deal: float(deal["amount"] or 0) > 100)
    changes = worth(11, 400), worth(18, 200), worth(19, 400), worth(22, 50)
    desk = Desk(rule("created_at", scope=wide))
    look(desk, 19.5, created(0, amount="200"), *changes)
    desk.rule = edited("created_at", scope=MUCH)
    for now in looks:
        look(desk, now, created(0, amount="200"), *changes)
    spans = {a.alert_id: (a.started_at, a.resolved_at) for a in desk.standing}
    assert spans == {"alert-1": (h(19), h(22)), "alert-2": (h(11), h(18))}


amounts = st.lists(st.sampled_from((50, 200, 400)), min_size=6, max_size=12)
ranges = st.sampled_from((SOME, MUCH, OVER_100, OVER_50))
worthy = st.builds(lambda scope: rule("created_at", 0, scope=scope), ranges)
"""One clock, due at once; what the deal is worth in each hour makes its stretches."""
worths = amounts.map(
    lambda found: facts_of([created(0), *(worth(at, amount) for at, amount in enumerate(found))])
)


@given(st.tuples(worths, worthy, worthy) | st.tuples(facts, rules, rules), hours, steps)
def test_one_big_step_after_an_edit_tells_what_many_small_ones_do(
    story: tuple[Facts, Rule, Rule], at: int, steps: list[int]
) -> None:
    facts, first, then = story
    big, small = Desk(first), Desk(first)
    for desk in (big, small):
        desk.look(facts, h(at - 1))
        desk.rule = replace(then, version=2, judges_since=2, changed_at=h(at))
    for hour in [*(step for step in steps if step >= at), END]:
        small.look(facts, h(hour))
    big.look(facts, h(END))
    assert instants(small.records) == instants(big.records)
    assert said(small.standing) == said(big.standing)


@given(
    st.tuples(worths, worthy, worthy, worthy) | st.tuples(facts, rules, rules, rules), hours, hours
)
def test_two_edits_that_nobody_looked_between_miss_nothing_that_stands(
    story: tuple[Facts, Rule, Rule, Rule], one: int, other: int
) -> None:
    """They count as one (ADR 0050): ids and ends may differ, what stands by the latest does not."""
    facts, *versions = story
    often, late = Desk(versions[0]), Desk(versions[0])
    at = sorted((one, other))
    for desk in (often, late):
        desk.look(facts, h(at[0] - 1))
    for number, (hour, then) in enumerate(zip(at, versions[1:], strict=True), 2):
        often.rule = late.rule = replace(
            then, version=number, judges_since=number, changed_at=h(hour)
        )
        often.look(facts, h(hour))
    for desk in (often, late):
        desk.look(facts, h(END))
    assert stands(often) == stands(late)


def stands(desk: Desk) -> list[tuple[object, ...]]:
    """What the open alerts say, but for their ids."""
    return sorted((a.key[:2], a.started_at, a.rule_version) for a in desk.standing if a.is_open)
