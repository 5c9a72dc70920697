"""What an alert says: evidence with money and durations, labels, summaries, the way out."""

from typing import Any

import pytest

from libs.common.contracts.alerts import Evidence
from services.alerts.domain.alert import Texts
from services.alerts.domain.rule import MetBy, Rule
from services.alerts.domain.texts import FACTS, texts, unknown_places
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import MINE, Says, judged, rule
from tests.unit.alerts.facts import created, ev, facts_of, h

DEAL = created(0, name="Nine presses", amount="12000.50", currency="EUR", owner_id="u1")


def said(of: Rule, *events: FoldEvent) -> Texts:
    """The texts of the first violation."""
    facts = facts_of(events or (DEAL,))
    assert facts is not None
    return texts(of, judged(of, facts, h(10_000)).violations[0])


@pytest.mark.parametrize(
    ("template", "limit", "expected"),
    [
        ("{{deal.name}}: {{elapsed}} in {{deal.stage_id}}", 28, "Nine presses: 1 d 4 h in lead"),
        ("{{elapsed}} of {{limit}}", 0.5, "30 min of 30 min"),
        ("{{limit}}", 24, "1 d"),
        ("{{limit}}", 720 + 4 + 0.5, "30 d 4 h"),
        ("{{limit}}", 24 + 0.5, "1 d"),
        ("{{limit}}", 725 / 3600, "12 min 5 s"),
        ("{{limit}}", 5 / 3600, "5 s"),
        ("{{limit}}", 0, "0 s"),
        ("{{ rule.name }}!", 1, "Stalled!"),
        ("{{deal.amount_text}} {{deal.currency}}", 1, "12000.50 EUR"),
        ("{{deal.created_at}}", 1, "2026-03-02 09:00 UTC"),
        ("{{deal.region}}/{{deal.last_activity_at}}", 1, "–/–"),
        ("{{deal.activity_count}}", 1, "0"),
        ("no places, {one} brace", 1, "no places, {one} brace"),
    ],
)
def test_a_summary_fills_its_places(template: str, limit: float, expected: str) -> None:
    assert said(rule(limit=limit, summary=template)).summary == expected


def test_what_a_deal_is_called_fills_no_places() -> None:
    deal = created(0, name="{{rule.name}} \\1")
    assert said(rule(summary="{{deal.name}}"), deal).summary == "{{rule.name}} \\1"


def test_without_a_template_there_is_no_summary() -> None:
    assert said(rule()).summary is None


@pytest.mark.parametrize(
    ("template", "unknown"),
    [
        ("{{deal.name}} {{ elapsed }} {{limit}} {{rule.name}} {{deal.amount_text}}", []),
        ("{{deal.nope}} {{owner.name}} {{}}", ["deal.nope", "owner.name", ""]),
    ],
)
def test_places_that_nothing_fills_are_named(template: str, unknown: list[str]) -> None:
    assert unknown_places(template) == unknown


def test_labels_are_texts_as_of_the_start_of_the_violation() -> None:
    later = ev(20, "deal.updated", changes={"owner_id": "u2"})
    of = rule(labels={"owner": Says("", lambda d: d["owner_id"]), "n": Says("", lambda _: 3)})
    assert said(of, DEAL, later).labels == {"owner": "u1", "n": "3"}


def test_evidence_shows_the_clock() -> None:
    of = rule("created_at", limit=36, offset=-1, scope=MINE)
    early = created(0, owner_id="u2")
    evidence = said(of, early, ev(40, "deal.updated", changes={"owner_id": "u1"})).evidence
    assert evidence["clock"] == {
        "field": "created_at", "start": h(0), "start_event_id": "deal.created@0",
        "start_event_source": "/crm", "limit": "P1DT12H", "offset": "-PT1H", "due_at": h(35),
        "elapsed_seconds": 40 * 3600,
        "segments": [{"from": h(0), "to": h(40), "kind": "working"}],
    }  # fmt: skip
    assert evidence["calendar_version"] is None


@pytest.mark.parametrize(
    ("given", "money"),
    [
        ({"amount": "12000", "currency": "EUR"}, {"amount": "12000.00", "currency": "EUR"}),
        ({"amount": "0.123456", "currency": "CHF"}, {"amount": "0.123456", "currency": "CHF"}),
        ({"amount": "0"}, {"amount": "0.00", "currency": "EUR"}),
        ({"amount": "999999999999999.99", "currency": "JPY"},
         {"amount": "999999999999999.99", "currency": "JPY"}),
        ({"currency": "EUR"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_evidence_shows_money_exactly(given: dict[str, Any], money: object) -> None:
    """A binary float would lose the cents of the largest."""
    assert said(rule(), created(0, **given)).evidence["facts"]["amount"] == money


def test_evidence_repeats_the_facts_at_the_start_and_is_within_its_contract() -> None:
    evidence = said(rule(), DEAL, ev(11, "deal.updated", changes={"owner_id": "u2"})).evidence
    assert tuple(evidence["facts"]) == FACTS
    assert evidence["facts"]["owner_id"] == "u1"
    assert Evidence.model_validate(evidence, extra="forbid").facts == evidence["facts"]


BY = " by 2026-03-02T19:00:00Z would have met it"


@pytest.mark.parametrize(
    ("start", "met_by", "expected"),
    [
        ("stage_entered_at", None, "a move to another stage"),
        ("last_activity_at", None, "any activity"),
        ("created_at", None, "leaving the scope of the rule"),
        ("created_at", MetBy(), "a matching activity (activity)"),
        ("created_at", MetBy(frozenset({"meeting", "call"})),
         "a matching activity (call or meeting)"),
        ("created_at", MetBy(None, "outbound"), "a matching activity (outbound activity)"),
        ("created_at", MetBy(frozenset({"call"}), "inbound", False),
         "a matching activity (personal inbound call)"),
        ("stage_entered_at", MetBy(None, None, True), "a matching activity (automated activity)"),
    ],
)  # fmt: skip
def test_evidence_says_what_would_have_met_it(
    start: Any, met_by: MetBy | None, expected: str
) -> None:
    evidence = said(rule(start, limit=10, met_by=met_by)).evidence
    assert evidence["counterfactual"] == f"{expected}{BY}"
