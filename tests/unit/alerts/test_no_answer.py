"""Scopes and labels that cannot be evaluated: what they say nothing of, and what goes on."""

import pytest

from services.alerts.domain.alert import Texts
from services.alerts.domain.texts import texts
from services.alerts.domain.verdicts import Judgement
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import DEAR, Desk, Says, judged, rule
from tests.unit.alerts.facts import created, ev, facts_of, h

OWNER = Says("deal.owner_id", lambda deal: deal["owner_id"])
DELETED, MERGED = ev(20, "deal.deleted"), ev(20, "deal.merged", "d2", merged_deal_ids=["d1"])


def worth(at: float, amount: str | None) -> FoldEvent:
    return ev(at, "deal.updated", changes={"amount": amount})


def judgement(*events: FoldEvent) -> Judgement:
    facts = facts_of(events)
    assert facts is not None
    return judged(rule("created_at", scope=DEAR), facts, h(40))


def hours(*events: FoldEvent) -> list[tuple[float, float | None]]:
    return [
        ((v.started_at - h(0)).total_seconds() / 3_600,
         None if v.cleared_at is None else (v.cleared_at - h(0)).total_seconds() / 3_600)
        for v in judgement(*events).violations
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([(12, "30")], [(10, None)]),
        ([(12, None)], [(10, None)]),
        ([(12, None), (14, "30")], [(10, None)]),
        ([(12, None), (14, "9")], [(10, 14)]),
        ([(12, "9"), (13, None), (14, "30")], [(10, 12), (14, None)]),
        ([(8, None)], []),
        ([(8, None), (14, "30")], [(14, None)]),
        ([(8, None), (9, "30")], [(10, None)]),
    ],
)
def test_without_an_answer_nothing_begins_and_nothing_ends(
    changes: list[tuple[float, str | None]], expected: list[tuple[float, float | None]]
) -> None:
    said = [worth(at, amount) for at, amount in changes]
    assert hours(created(0, amount="30"), *said) == expected


@pytest.mark.parametrize(("end", "how"), [(DELETED, "cleared"), (MERGED, "superseded")])
def test_a_deal_that_is_gone_ends_its_alert_whatever_its_scope_could_say(
    end: FoldEvent, how: str
) -> None:
    desk = Desk(rule("created_at", scope=DEAR))
    events = [created(0, amount="30"), created(0, "d2"), worth(12, None)]
    desk.look(facts_of(events[:1]), h(11))
    desk.look(facts_of([*events, end]), h(30))
    (alert,) = desk.standing
    assert (alert.resolved_at, alert.resolution) == (h(20), how)


def test_that_there_was_no_answer_is_told() -> None:
    assert judgement(created(0, amount="30")).failed is None
    assert judgement(created(0, amount="30"), worth(12, None)).failed == DEAR_FAILS


DEAR_FAILS = "no such overload: null > double"


def test_a_label_without_a_text_is_left_out_and_told() -> None:
    of = rule("created_at", labels={"dear": DEAR, "owner": OWNER}, summary="{{deal.owner_id}}")
    facts, failed = facts_of([created(0, owner_id="u1")]), list[str]()
    assert facts is not None
    (found,) = judged(of, facts, h(12)).violations
    told: Texts = texts(of, found, failed.append)
    assert (told.labels, told.summary) == ({"owner": "u1"}, "u1")
    assert failed == [f"label dear: {DEAR_FAILS}"]
