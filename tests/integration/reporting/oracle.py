"""The definitions once more, in plain Python over plain histories, with nothing of the product."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.integration.reporting.histories import DealPast, Pipeline, SpanRow, Version, VisitRow

Key = tuple[str | None, ...]


@dataclass(frozen=True)
class Question:
    pipeline: Pipeline
    first_stage: str
    valid_at: datetime
    known_at: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    window: timedelta | None = None
    credit: str = "at_event"
    group_by: tuple[str, ...] = ()
    owners: tuple[str, ...] | None = None


@dataclass
class Cohort:
    """Deal ids behind every number of one cell."""

    n: set[str]
    won: set[str]
    lost: set[str]
    reached: dict[str, set[str]]
    pairs: dict[str, set[str]]


def empty(stages: Sequence[str]) -> Cohort:
    return Cohort(set(), set(), set(), {s: set() for s in stages}, {s: set() for s in stages})


def conversion(
    question: Question, deals: Sequence[DealPast], label: Callable[[datetime], str | None]
) -> dict[tuple[str | None, Key], Cohort]:
    """Cells by period label and key; `label` spells the period of an instant."""
    listed = [s for s, kind in question.pipeline.stages if kind != "lost"]
    cells: defaultdict[tuple[str | None, Key], Cohort] = defaultdict(lambda: empty(listed))
    for deal in deals:
        held = as_known(deal, question.known_at)
        if held is not None and (entry := _entry(question, held)):
            _count(question, deal.deal_id, held, entry, cells, listed, label)
    return dict(cells)


def _entry(question: Question, held: Version) -> VisitRow | None:
    """The first entry into the first stage, if it lies in the asked time."""
    first = question.first_stage
    for visit in sorted(held.visits, key=lambda v: v.n):
        if visit.entered_at > question.valid_at:
            return None
        if (visit.pipeline_id, visit.stage_id) == (question.pipeline.pipeline_id, first):
            after = question.start is None or visit.entered_at >= question.start
            before = question.end is None or visit.entered_at < question.end
            return visit if after and before else None
    return None


def _count(
    question: Question,
    deal_id: str,
    held: Version,
    entry: VisitRow,
    cells: defaultdict[tuple[str | None, Key], Cohort],
    listed: Sequence[str],
    label: Callable[[datetime], str | None],
) -> None:
    now = facts_at(held, question.valid_at)
    if now is None or now["status"] in ("deleted", "merged"):
        return
    credited = now
    if question.credit == "at_event":
        credited = facts_at(held, entry.entered_at) or {}
    if question.owners is not None and credited.get("owner_id") not in question.owners:
        return
    until = question.valid_at
    if question.window is not None:
        until = min(until, entry.entered_at + question.window)
    cell = cells[label(entry.entered_at), tuple(dimension(credited, d) for d in question.group_by)]
    cell.n.add(deal_id)
    outcome = (facts_at(held, until) or {})["status"]
    if outcome in ("won", "lost"):
        (cell.won if outcome == "won" else cell.lost).add(deal_id)
    later = [
        v
        for v in held.visits
        if v.n > entry.n
        and v.entered_at <= until
        and v.pipeline_id == question.pipeline.pipeline_id
    ]
    places = {stage: [v.n for v in later if v.stage_id == stage] for stage in listed}
    places[question.first_stage] = [entry.n, *places.get(question.first_stage, [])]
    for i, stage in enumerate(listed):
        if not places[stage]:
            continue
        cell.reached[stage].add(deal_id)
        if i == 0:
            cell.pairs[stage].add(deal_id)
            continue
        before = places[listed[i - 1]]
        if before and any(n > min(before) for n in places[stage]):
            cell.pairs[stage].add(deal_id)


def snapshot(
    pipeline_id: str,
    valid_at: datetime,
    known_at: datetime | None,
    deals: Sequence[DealPast],
    statuses: Sequence[str],
    group_by: tuple[str, ...],
) -> dict[Key, tuple[set[str], dict[str, Decimal], float]]:
    """By stage and key: the deals, the sums by currency, the mean age in days."""
    found: defaultdict[Key, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for deal in deals:
        held = as_known(deal, known_at)
        facts = facts_at(held, valid_at) if held else None
        if facts and facts["pipeline_id"] == pipeline_id and facts["status"] in statuses:
            key = (facts.get("stage_id"), *(dimension(facts, d) for d in group_by))
            found[key].append((deal.deal_id, facts))
    return {key: _stock(members, valid_at) for key, members in found.items()}


def _stock(
    members: list[tuple[str, dict[str, Any]]], valid_at: datetime
) -> tuple[set[str], dict[str, Decimal], float]:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for _, facts in members:
        if facts.get("amount") is not None:
            sums[facts.get("currency") or "EUR"] += facts["amount"]
    ages = [(valid_at - facts["created_at"]) / timedelta(days=1) for _, facts in members]
    return {deal_id for deal_id, _ in members}, dict(sums), sum(ages) / len(ages)


def as_known(deal: DealPast, known_at: datetime | None) -> Version | None:
    held = [v for v in deal.versions if known_at is None or v.known_from <= known_at]
    return held[-1] if held else None


def facts_at(held: Version, instant: datetime) -> dict[str, Any] | None:
    spans: list[SpanRow] = [s for s in held.spans if s.valid_from <= instant < s.valid_to]
    return spans[0].facts if spans else None


def dimension(facts: dict[str, Any], name: str) -> str | None:
    if name.startswith("attributes."):
        value = facts["attributes"].get(name.removeprefix("attributes."))
        return None if value is None else str(value)
    found: str | None = facts.get(name)
    return found
