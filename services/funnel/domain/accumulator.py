"""Where the fold of one deal stands, as a value that a row can keep.

The stored form is private and versioned: a form that this code does not know reads as `None`, and
the deal is folded anew from its events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import orjson

from libs.common.activities import Activities
from services.funnel.domain.deal import DealFold
from services.funnel.domain.inputs import KnownPipelines
from services.funnel.domain.model import Facts, Order, Ref, Visit

FORM = 3
_PLAIN = ("stage_id", "stage_class", "last_open_stage", "created", "life", "push_count",
          "lost_reason", "visit_count", "attributes")  # fmt: skip
_TIMES = ("stage_entered_at", "created_at", "closed_at", "last_event_at", "recorded_at")


@dataclass(slots=True)
class Accumulator:
    """A deal's machine, its head in both times, and what is known of its last rows."""

    deal: DealFold
    head: Order
    known_at: datetime
    visit_known: datetime | None
    span: tuple[int, datetime, datetime]
    """`n`, `valid_from` and `known_from` of the last span."""
    context: dict[Ref, dict[str, Any]] = field(default_factory=dict)
    named: bool = False
    told: Facts | None = None
    """The facts at the head, once they have been asked for; not stored."""

    def facts(self) -> Facts:
        """The deal as of the head."""
        if self.told is None:
            self.told = self.deal.facts(self.context)
        return self.told

    def dump(self) -> bytes | None:
        """The stored form; `None` for values that it cannot hold (integers beyond 64 bits)."""
        try:
            return orjson.dumps(_form(self), default=_decimal)
        except orjson.JSONEncodeError:
            return None


def load(stored: bytes | None, pipelines: KnownPipelines, currency: str) -> Accumulator | None:
    """The accumulator of a stored form; `None` asks for a refold."""
    form = orjson.loads(stored) if stored else {}
    if form.get("form") != FORM:
        return None
    n, valid_from, known_from = form["span"]
    return Accumulator(
        deal=_deal(form, pipelines, currency),
        head=(_time(form["head"][0]), *form["head"][1:]),
        known_at=_time(form["known_at"]),
        visit_known=_maybe(form["visit_known"]),
        span=(n, _time(valid_from), _time(known_from)),
        context={(kind, id_): values for kind, id_, values in form["context"]},
        named=form["named"],
    )


def _decimal(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"no stored form for {type(value)}")


def _form(acc: Accumulator) -> dict[str, Any]:
    deal = acc.deal
    return {
        "form": FORM,
        "deal_id": deal.deal_id,
        "pipeline_id": deal.pipeline_id,
        "plain": [getattr(deal, name) for name in _PLAIN],
        "times": [getattr(deal, name) for name in _TIMES],
        "fields": deal.fields,
        "activities": [_kept(getattr(deal.activities, name)) for name in Activities.KEPT],
        "visit": list(deal.visits[-1]) if deal.visits else None,
        "head": acc.head,
        "known_at": acc.known_at,
        "visit_known": acc.visit_known,
        "span": acc.span,
        "context": [[*ref, values] for ref, values in acc.context.items()],
        "named": acc.named,
    }


def _deal(form: Mapping[str, Any], pipelines: KnownPipelines, currency: str) -> DealFold:
    deal = DealFold(form["deal_id"], form["pipeline_id"], pipelines, currency)
    for name, value in zip(_PLAIN, form["plain"], strict=True):
        setattr(deal, name, value)
    for name, value in zip(_TIMES, form["times"], strict=True):
        setattr(deal, name, _maybe(value))
    deal.fields = _fields(form["fields"])
    deal.activities = _activities(form["activities"])
    deal.visits = [_visit(form["visit"])] if form["visit"] else []
    return deal


def _fields(stored: dict[str, Any]) -> dict[str, Any]:
    if stored["amount"] is not None:
        stored["amount"] = Decimal(stored["amount"])
    for name in ("expected_close_date", "renewal_date"):
        if stored[name] is not None:
            stored[name] = date.fromisoformat(stored[name])
    return stored


def _kept(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else value


def _activities(stored: list[Any]) -> Activities:
    values = dict(zip(Activities.KEPT, stored, strict=True))
    values["retold"] = set(values["retold"])
    values["planned"] = {id_: _time(at) for id_, at in values["planned"].items()}
    activities = Activities()
    for name, value in values.items():
        setattr(activities, name, _maybe(value) if name.endswith("_at") else value)
    return activities


def _visit(stored: list[Any]) -> Visit:
    visit = Visit(*stored)
    entered, left = _time(stored[4]), _maybe(stored[5])
    return visit._replace(entered_at=entered, left_at=left)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
