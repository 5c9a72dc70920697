"""Histories and rules for properties: few instants, so that ties and boundaries are common."""

from dataclasses import replace
from typing import Any, cast

from hypothesis import strategies as st

from services.alerts.domain.rule import MetBy, Rule
from services.alerts.domain.timeline import Facts
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import ANY, DEAR, MINE, OFFER, OPEN, rule
from tests.unit.alerts.facts import ACCOUNT, created, ev, facts_of, h, numbered

LAST = 12
hours = st.integers(0, LAST)
_stages = st.sampled_from(("lead", "offer", "signed"))
_changes = st.sampled_from(
    ({"owner_id": "u1"}, {"owner_id": "u2"}, {"amount": "30"}, {"amount": "9"}, {"amount": None})
)
_activity = {
    "activity_id": st.sampled_from(("x", "y")),
    "kind": st.sampled_from(("call", "email")),
    "direction": st.sampled_from((None, "outbound", "inbound")),
    "automated": st.booleans(),
}
_ahead = st.integers(0, LAST + 4).map(lambda at: h(at).isoformat())
_deals = st.sampled_from(("d1", "d2", "d3"))
_given = st.fixed_dictionaries(
    {"owner_id": st.sampled_from((None, "u1")),
     "stage_id": st.sampled_from((None, "lead", "offer")),
     "amount": st.sampled_from((None, "30")),
     "account_id": st.sampled_from((None, ACCOUNT))}
)  # fmt: skip


def _account(at: int, region: str) -> FoldEvent:
    return ev(at, "account.upserted", ACCOUNT, region=region)


def _events(deals: st.SearchStrategy[str]) -> st.SearchStrategy[FoldEvent]:
    def says(type_: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[FoldEvent]:
        data = st.fixed_dictionaries(fields)
        return st.builds(lambda at, deal, d: ev(at, type_, deal, **d), hours, deals, data)

    return st.one_of(
        st.builds(lambda at, deal, d: created(at, deal, **d), st.integers(0, 6), deals, _given),
        says("deal.stage_changed", stage_id=_stages),
        says("deal.stage_changed", stage_id=_stages),
        says("deal.updated", changes=_changes),
        says("deal.won"),
        says("deal.lost"),
        says("deal.reopened"),
        says("deal.deleted"),
        says("deal.restored"),
        says("deal.merged", merged_deal_ids=st.lists(_deals, min_size=1, max_size=1)),
        says("activity.logged", **_activity),
        says("activity.logged", **_activity).map(lambda event: replace(event, reconciled=True)),
        says("activity.completed", **_activity),
        says("activity.scheduled", **_activity, scheduled_for=st.none() | _ahead),
        says("activity.cancelled", **_activity),
        st.builds(_account, hours, st.sampled_from(("north", "south"))),
    )  # fmt: skip


_own = _events(st.just("d1")).filter(lambda event: event.subject == "d1")
_all = _events(st.sampled_from(("d1", "d1", "d1", "d2", "d3")))
_begun = _own.map(lambda event: [event]) | st.just([created(0), created(0, "d2")])
histories = st.builds(
    lambda first, more: numbered([*first, *more]), _begun, st.lists(_all, max_size=14)
)
"""Events of a deal `d1`, and of others that it may be merged with."""
facts: st.SearchStrategy[Facts] = (
    histories.map(facts_of)
    .filter(lambda found: found is not None)
    .map(lambda found: cast(Facts, found))
)
_met_by = st.none() | st.builds(
    MetBy,
    st.sampled_from((None, frozenset({"call"}), frozenset({"call", "email"}))),
    st.sampled_from((None, "outbound")),
    st.sampled_from((None, False)),
)
rules: st.SearchStrategy[Rule] = st.builds(
    rule,
    st.sampled_from(("stage_entered_at", "created_at", "last_activity_at")),
    st.integers(0, 6),
    st.integers(-3, 3),
    _met_by,
    scope=st.sampled_from((ANY, ANY, OPEN, OFFER, MINE, DEAR)),
)
