"""Histories for properties: few deals, few instants, so that ties and late facts are common."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from libs.common.contracts.catalogue import parse
from services.funnel.domain.inputs import Inputs, Pipelines, PipelineVersion
from services.funnel.domain.model import FoldEvent

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
DEALS = ("d1", "d2", "d3")
STAGES = ("lead", "offer", "signed", "gone", "won")

instants = st.integers(0, 12).map(lambda n: START + timedelta(hours=n))


def _deal_event(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    data: dict[str, Any] = {"deal_id": draw(st.sampled_from(DEALS))}
    maybe_pipeline = draw(st.sampled_from((None, None, "b2b", "renewal")))
    match kind:
        case "deal.created":
            data |= {
                "stage_id": draw(st.sampled_from((None, *STAGES))),
                "pipeline_id": maybe_pipeline,
                "account_id": draw(st.sampled_from((None, "a1", "a2"))),
                "owner_id": draw(st.sampled_from((None, "u1"))),
                "amount": draw(st.sampled_from((None, "10.00", "20"))),
            }
        case "deal.stage_changed":
            data |= {"stage_id": draw(st.sampled_from(STAGES)), "pipeline_id": maybe_pipeline}
        case "deal.updated":
            data["changes"] = draw(st.sampled_from(CHANGES))
        case "deal.lost":
            data["reason_code"] = draw(st.sampled_from((None, "price")))
        case "deal.reopened":
            data["stage_id"] = draw(st.sampled_from((None, "offer")))
        case "deal.merged":
            data["merged_deal_ids"] = draw(st.lists(st.sampled_from(DEALS), min_size=1, max_size=2))
    return data


BIG = "x" * 40_000
"""Two of them exceed what a deal's attributes may be together."""
CHANGES: tuple[dict[str, Any], ...] = (
    {"amount": "30"},
    {"amount": None},
    {"account_id": "a2"},
    {"account_id": None, "owner_id": "u1"},
    {"expected_close_date": "2026-05-01"},
    {"expected_close_date": "2026-06-01"},
    {"attributes.x": 1},
    {"attributes.x": True},
    {"attributes.x": None},
    {"attributes.x": BIG, "attributes.y": None},
    {"attributes.y": BIG},
    {"pipeline_id": "renewal"},
    {"stage_id": "offer", "region": "north"},
)
_DEAL_TYPES = (
    "deal.created",
    "deal.stage_changed",
    "deal.stage_changed",
    "deal.updated",
    "deal.updated",
    "deal.won",
    "deal.lost",
    "deal.reopened",
    "deal.deleted",
    "deal.restored",
    "activity.logged",
    "activity.scheduled",
    "activity.completed",
    "deal.merged",
)


@st.composite
def deal_events(draw: st.DrawFn, *, merges: bool = True) -> FoldEvent:
    types = _DEAL_TYPES if merges else _DEAL_TYPES[:-1]
    kind = draw(st.sampled_from(types))
    data = _deal_event(draw, kind)
    reconciled = False
    if kind.startswith("activity."):
        data |= {"activity_id": draw(st.sampled_from(("x", "y"))), "kind": "call"}
        reconciled = draw(st.booleans())
    drawn = event(kind, data["deal_id"], data, draw(instants), draw(instants), _sequence(draw))
    return replace(drawn, reconciled=reconciled)


@st.composite
def context_events(draw: st.DrawFn) -> FoldEvent:
    if draw(st.booleans()):
        id_ = draw(st.sampled_from(("a1", "a2")))
        data = {"account_id": id_, "region": draw(st.sampled_from((None, "north", "south")))}
        return event("account.upserted", id_, data, draw(instants), draw(instants), None)
    data = {"user_id": "u1", "team_id": draw(st.sampled_from(("t1", "t2")))}
    return event("user.upserted", "u1", data, draw(instants), draw(instants), None)


def _sequence(draw: st.DrawFn) -> int | None:
    return draw(st.sampled_from((None, 1, 2)))


_ids = iter(range(10**9))


def event(
    kind: str,
    subject: str,
    data: dict[str, Any],
    occurred_at: datetime,
    recorded_at: datetime,
    sequence: int | None = None,
    event_id: str | None = None,
) -> FoldEvent:
    parsed = parse(kind, data, strict=True)
    assert parsed is not None
    id_ = event_id or f"{abs(hash((kind, subject, str(data), occurred_at, sequence))) % 10**8:08d}"
    return FoldEvent(subject, kind, "crm", id_, occurred_at, recorded_at, sequence, parsed)


def unique(events: list[FoldEvent]) -> list[FoldEvent]:
    """One event per id, with the smallest recorded time, as the store keeps them."""
    best: dict[str, FoldEvent] = {}
    for e in sorted(events, key=lambda e: e.recorded_at, reverse=True):
        best[e.id] = e
    return list(best.values())


def histories(*, merges: bool = True) -> st.SearchStrategy[list[FoldEvent]]:
    return st.lists(deal_events(merges=merges), min_size=1, max_size=14).map(unique)


contexts = st.lists(context_events(), max_size=4).map(unique)

VERSIONS = (
    (),
    (PipelineVersion(START, {"lead": "open", "offer": "open", "signed": "won", "gone": "lost"}),),
    (
        PipelineVersion(START, {"lead": "open", "offer": "open", "signed": "open"}),
        PipelineVersion(START + timedelta(hours=6), {"lead": "open", "signed": "won"}),
    ),
)
pipelines = st.builds(
    lambda b2b, default: Pipelines({"b2b": b2b, "default": default}),
    st.sampled_from(VERSIONS),
    st.sampled_from(VERSIONS),
)


def inputs_of(pipelines: Pipelines, context: list[FoldEvent]) -> Inputs:
    by_ref: dict[tuple[str, str], list[FoldEvent]] = {}
    for e in context:
        by_ref.setdefault((e.type.partition(".")[0], e.subject), []).append(e)
    return Inputs("EUR", pipelines, by_ref)
