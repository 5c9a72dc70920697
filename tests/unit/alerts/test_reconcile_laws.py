"""Laws of what is told: steps of time, repetition and arrival order cannot matter."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.alerts.domain.alert import Alert, Told
from services.alerts.domain.rule import Rule
from services.alerts.domain.timeline import Facts
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import Desk
from tests.unit.alerts.facts import facts_of, h
from tests.unit.alerts.strategies import LAST, facts, histories, rules

END = LAST + 16
steps = st.lists(st.integers(0, END), max_size=12).map(sorted)


def instants(told: Sequence[Told]) -> list[Any]:
    """What each record is of; ids and the instants of seeing are left out."""
    return sorted((record.at, record.type, record.alert.key[:2]) for record in told)


def said(alerts: Sequence[Alert]) -> list[Any]:
    """What stands, by its clock, in an order of its own."""
    return sorted(
        (a.key[:2], a.started_at, a.resolved_at or h(10_000), a.state, a.resolution or "")
        for a in alerts
    )


@given(facts, rules, steps)
def test_one_big_step_tells_what_many_small_ones_do(
    facts: Facts, rule: Rule, steps: list[int]
) -> None:
    big, small = Desk(rule), Desk(rule)
    for hour in [*steps, END]:
        small.look(facts, h(hour))
    big.look(facts, h(END))
    assert instants(small.records) == instants(big.records)
    assert said(small.standing) == said(big.standing)
    assert [a.evidence for a in small.standing] == [a.evidence for a in big.standing]


@given(histories, rules, st.randoms(use_true_random=False), steps)
def test_judging_again_tells_nothing(
    events: list[FoldEvent], rule: Rule, random: Any, steps: list[int]
) -> None:
    desk = Desk(rule)
    for known, now in arrivals(events, random, steps):
        desk.look(known, now)
        before = dict(desk.alerts)
        assert desk.look(known, now).told == []
        assert desk.alerts == before


@given(histories, rules, st.randoms(use_true_random=False), steps)
def test_any_arrival_order_ends_in_what_a_fresh_judgement_says(
    events: list[FoldEvent], rule: Rule, random: Any, steps: list[int]
) -> None:
    desk, fresh = Desk(rule), Desk(rule)
    for known, now in arrivals(events, random, steps):
        desk.look(known, now)
        keys = [alert.key for alert in desk.standing]
        assert len(keys) == len(set(keys)), "one alert for an episode"
    fresh.look(facts_of(events), h(END))
    assert said(desk.standing) == said(fresh.standing)


@given(histories, rules, rules, st.randoms(use_true_random=False), steps, st.integers(0, 12))
def test_after_an_edit_what_stands_is_what_the_new_version_says(
    events: list[FoldEvent], first: Rule, then: Rule, random: Any, steps: list[int], at: int
) -> None:
    """Also where facts arrive late after it."""
    desk, fresh = Desk(first), Desk(then)
    looks = arrivals(events, random, steps)
    for turn, (known, now) in enumerate(looks):
        if turn == min(at, len(looks) - 1):
            desk.rule = replace(then, version=2, judges_since=2, changed_at=now)
        desk.look(known, now)
    fresh.look(facts_of(events), h(END))
    assert said(_open(desk.standing)) == said(_open(fresh.standing))


def _open(alerts: Sequence[Alert]) -> Sequence[Alert]:
    return [alert for alert in alerts if alert.is_open]


@given(histories, rules, st.randoms(use_true_random=False), steps)
def test_each_alert_lives_a_well_formed_life(
    events: list[FoldEvent], rule: Rule, random: Any, steps: list[int]
) -> None:
    desk = Desk(rule)
    for known, now in arrivals(events, random, steps):
        desk.look(known, now)
    for records in desk.lives().values():
        assert_begins(records[0])
        for before, after in pairwise(records):
            assert_follows(before.alert, after)


def arrivals(events: list[FoldEvent], random: Any, steps: list[int]) -> list[Any]:
    """Events come one by one in any order while time goes on; at the end all are there."""
    order = random.sample(events, len(events))
    counts = sorted(random.randint(1, len(order)) for _ in steps)
    looks = [(facts_of(order[:n]), h(now)) for n, now in zip(counts, steps, strict=True)]
    return [*looks, (facts_of(order), h(END))]


def assert_begins(record: Told) -> None:
    alert = record.alert
    assert (record.type, record.at, alert.version) == ("alert.fired", alert.started_at, 1)
    assert (alert.state, alert.corrections) == ("firing", ())
    assert alert.started_at <= alert.detected_at


def assert_follows(before: Alert, record: Told) -> None:
    """A record counts its version up, and is of the instant that its type promises."""
    alert = record.alert
    assert before.resolution != "retracted", "nothing follows a retraction"
    assert alert.version == before.version + 1
    assert (alert.episode, alert.detected_at) == (before.episode, before.detected_at)
    if record.type == "alert.resolved":
        assert before.is_open
        assert not alert.is_open
        assert record.at == alert.resolved_at
        assert record.at > alert.started_at == before.started_at
        assert alert.corrections == before.corrections
    else:
        assert record.type == "alert.corrected"
        assert record.at == alert.started_at
        assert_corrects(before, alert)


def assert_corrects(before: Alert, alert: Alert) -> None:
    *earlier, last = alert.corrections
    assert tuple(earlier) == tuple(before.corrections)
    assert isinstance(last["at"], datetime)
    kept = [last[name] for name in ("started_at", "resolved_at", "resolution", "evidence")]
    assert kept == [before.started_at, before.resolved_at, before.resolution, before.evidence]
    assert last["start_event_id"] == before.key[1]
    ends_as_it_began = alert.resolved_at == alert.started_at
    assert ends_as_it_began == (alert.resolution == "retracted")
    assert alert.is_open == (alert.resolved_at is None) == (alert.resolution is None)
