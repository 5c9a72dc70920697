"""Facts of a deal for tests, folded from events as the funnel does: `ev(3, ...)` is at `h(3)`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common.contracts.catalogue import parse
from libs.common.contracts.deals import decimal_string
from libs.common.contracts.events import ActivityData
from services.alerts.domain.timeline import EventRef, Facts, Merge, Said, Span, Visit
from services.funnel.domain import model
from services.funnel.domain.inputs import Inputs, Pipelines
from services.funnel.domain.project import project, state_at

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
ACCOUNT = "a1"
FAR = 10_000


def h(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def ev(at: float, type_: str, deal: str = "d1", /, id_: str = "", **data: Any) -> model.FoldEvent:
    """An event; without an id it is known by its instant and type."""
    key = "account_id" if type_.startswith("account.") else "deal_id"
    parsed = parse(type_, {key: deal, **data}, strict=True)
    assert parsed is not None
    name = id_ or f"{type_}@{at:g}"
    return model.FoldEvent(deal, type_, "/crm", name, h(at), START, None, parsed)


def created(at: float = 0, deal: str = "d1", **data: Any) -> model.FoldEvent:
    return ev(at, "deal.created", deal, **{"stage_id": "lead", **data})


def moved(at: float, stage: str, id_: str = "") -> model.FoldEvent:
    return ev(at, "deal.stage_changed", id_=id_, stage_id=stage)


def called(at: float, deal: str = "d1", kind: str = "call", **data: Any) -> model.FoldEvent:
    fields = {"activity_id": f"a@{at:g}", "kind": kind, "direction": "outbound", **data}
    return ev(at, "activity.logged", deal, **fields)


def numbered(events: Iterable[model.FoldEvent]) -> list[model.FoldEvent]:
    """Events with ids of their own, so that several may be alike."""
    return [replace(event, id=f"e{n:02d}") for n, event in enumerate(events)]


def facts_of(events: Sequence[model.FoldEvent], deal: str = "d1") -> Facts | None:
    """What alerts would read of a deal once these events are folded; `None`: not there."""
    own, inputs = _split(events)
    projections = project(own, inputs, h(FAR))
    mine = [e for e in own if e.subject == deal]
    if not mine or deal not in projections:
        return None
    first = min(mine, key=lambda e: e.order)
    declared = min(
        (e for e in mine if e.type == "deal.created"), key=lambda e: e.order, default=None
    )
    return Facts(
        deal,
        _ref(first),
        _ref(declared) if declared else None,
        [_span(deal, row) for row in _rows(projections[deal].spans)],
        [_visit(row) for row in _rows(projections[deal].visits)],
        [_said(e) for e in sorted(own, key=lambda e: e.order) if e.type.startswith("activity.")],
        sorted(_merges(projections), key=lambda merge: merge.at),
    )


def state_of(
    events: Sequence[model.FoldEvent], hour: float, deal: str = "d1"
) -> Mapping[str, Any] | None:
    """What the funnel itself answers of a deal as of an hour; no alerts in between."""
    found = state_at(*_split(events), h(hour)).get(deal)
    return None if found is None else found.facts._asdict() | found.activity._asdict()


def _split(events: Sequence[model.FoldEvent]) -> tuple[list[model.FoldEvent], Inputs]:
    """Deals' events, and those of the account as context."""
    context = [e for e in events if e.type.startswith("account.")]
    own = [e for e in events if e not in context]
    return own, Inputs("EUR", Pipelines({}), {("account", ACCOUNT): context})


def _rows(known: Sequence[model.Known[Any]]) -> list[Any]:
    return sorted((k.row for k in known if k.known_to is None), key=lambda row: row.n)


def _ref(event: model.FoldEvent) -> EventRef:
    return EventRef(event.occurred_at, event.source, event.id)


def _span(deal: str, row: model.Span) -> Span:
    facts = row.facts._asdict()
    exact = facts["amount"]
    shown = {
        "deal_id": deal,
        "stage_name": None,
        "amount": None if exact is None else float(exact),
        "amount_text": None if exact is None else decimal_string(exact.normalize()),
    }
    return Span(row.valid_from, facts | shown)


def _visit(row: model.Visit) -> Visit:
    return Visit(EventRef(row.entered_at, row.event_source, row.event_id), row.left_at)


def _said(event: model.FoldEvent) -> Said:
    assert isinstance(event.data, ActivityData)
    return Said(_ref(event), event.type, event.subject, event.data, event.reconciled)


def _merges(projections: Mapping[str, model.Projection]) -> Iterable[Merge]:
    for deal, projection in projections.items():
        for row in _rows(projection.spans):
            if row.facts.status == "merged":
                yield Merge(row.valid_from, deal, row.facts.merged_into)
