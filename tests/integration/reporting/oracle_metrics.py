"""The first metrics once more, deal by deal over plain histories, with nothing of the product."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.integration.reporting.histories import DealPast, Version, VisitRow
from tests.integration.reporting.oracle import Key, as_known, dimension, facts_at

ORDER = ("reach", "offer", "won", "lost", "late")
Place = tuple[str | None, str | None, Key]
"""The period's name, the stage or reason, and the key."""


@dataclass(frozen=True)
class Asked:
    metric: str
    valid_at: datetime
    known_at: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    credit: str = "at_event"
    group_by: tuple[str, ...] = ()
    owners: tuple[str, ...] | None = None
    threshold: timedelta = timedelta(days=30)
    by: str = "in_stage"


@dataclass(frozen=True)
class Event:
    deal: str
    at: datetime
    place: str | None
    what: str
    seconds: float | None = None
    amount: Decimal | None = None
    currency: str = ""


def cells(
    asked: Asked, deals: Sequence[DealPast], label: Callable[[datetime], str | None]
) -> dict[Place, list[Event]]:
    """What is counted, by the row that it is counted in."""
    found: defaultdict[Place, list[Event]] = defaultdict(list)
    for deal in deals:
        held = as_known(deal, asked.known_at)
        now = facts_at(held, asked.valid_at) if held else None
        if held is None or now is None or now["status"] in ("deleted", "merged"):
            continue
        for event in _EVENTS[asked.metric](asked, deal.deal_id, held, now):
            facts = now if asked.credit == "current" else facts_at(held, event.at)
            if _within(asked, event.at) and facts is not None and _fits(asked, facts):
                key = tuple(dimension(facts, name) for name in asked.group_by)
                found[label(event.at), event.place, key].append(event)
    return dict(found)


def _within(asked: Asked, instant: datetime) -> bool:
    after = asked.start is None or instant >= asked.start
    return instant <= asked.valid_at and after and (asked.end is None or instant < asked.end)


def _fits(asked: Asked, facts: dict[str, Any]) -> bool:
    return asked.owners is None or facts.get("owner_id") in asked.owners


def _closes(asked: Asked, deal: str, _: Version, now: dict[str, Any]) -> Iterator[Event]:
    wanted = {"win_rate": ("won", "lost"), "loss_reasons": ("lost",)}.get(asked.metric, ("won",))
    if now["status"] not in wanted or now["pipeline_id"] != "b2b" or now["closed_at"] is None:
        return
    reason = now.get("lost_reason") if asked.metric == "loss_reasons" else None
    took = (now["closed_at"] - now["created_at"]).total_seconds()
    yield Event(deal, now["closed_at"], reason, now["status"], took, *_amount(now))


def _amount(facts: dict[str, Any]) -> tuple[Decimal | None, str]:
    return facts.get("amount"), facts.get("currency") or "EUR"


def _exit(visit: VisitRow) -> str:
    if visit.exit != "left":
        return visit.exit or ""
    there = ORDER.index(visit.next_stage_id or "")
    return "advance" if there > ORDER.index(visit.stage_id) else "back"


def _stays(asked: Asked, deal: str, held: Version, _: dict[str, Any]) -> Iterator[Event]:
    for visit in held.visits:
        if visit.pipeline_id != "b2b" or visit.stage_class != "open":
            continue
        if visit.left_at is None or visit.left_at > asked.valid_at:
            yield Event(deal, visit.entered_at, visit.stage_id, "open")
        else:
            took = (visit.left_at - visit.entered_at).total_seconds()
            yield Event(deal, visit.entered_at, visit.stage_id, _exit(visit), took)


def _moves(_: Asked, deal: str, held: Version, __: dict[str, Any]) -> Iterator[Event]:
    for visit in held.visits:
        if visit.pipeline_id == "b2b":
            yield Event(deal, visit.entered_at, visit.stage_id, "entered")
            if visit.left_at is not None:
                yield Event(deal, visit.left_at, visit.stage_id, _exit(visit))


def _stalls(asked: Asked, deal: str, _: Version, now: dict[str, Any]) -> Iterator[Event]:
    since = now.get("stage_entered_at" if asked.by == "in_stage" else "created_at")
    if now["status"] != "open" or now["pipeline_id"] != "b2b" or since is None:
        return
    if asked.valid_at - since > asked.threshold:
        yield Event(deal, asked.valid_at, now["stage_id"], "open", None, *_amount(now))


_EVENTS: dict[str, Callable[[Asked, str, Version, dict[str, Any]], Iterator[Event]]] = {
    "win_rate": _closes,
    "sales_cycle": _closes,
    "deal_size": _closes,
    "loss_reasons": _closes,
    "dwell": _stays,
    "flow": _moves,
    "stalled": _stalls,
}
