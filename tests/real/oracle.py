"""The funnel's definitions in plain pandas, over what the raw files say and nothing else.

A `Past` is three tables of what happened: entries into stages, and changes of the amount and of
dimensions. `n` orders the rows of one deal, also those of one instant. Each deal enters a stage at
most once in these sets. What was recorded when it happened was known from then on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import sqrt
from typing import Any

import pandas as pd

Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""
Frame = Any
Numbers = dict[tuple[Any, ...], Any]
"""Every number of an answer under its path: the key of its row, then the name."""


@dataclass(frozen=True)
class Past:
    """`entries`: deal, n, t, stage; `changes[name]`: deal, n, t, value.

    `touched`: deal, t of whatever was said of a deal; idle deals need it.
    """

    entries: Frame
    stages: Mapping[str, str]
    changes: Mapping[str, Frame]
    zone: str
    touched: Frame = None

    def known(self, at: datetime | None) -> "Past":
        if at is None:
            return self
        changes = {name: table[table.t <= at] for name, table in self.changes.items()}
        return replace(self, entries=self.entries[self.entries.t <= at], changes=changes)

    def value(self, name: str, at: Any) -> Any:
        """By deal, the value as of `at`: one instant, or one for each deal."""
        table = self.changes[name]
        limit = at if isinstance(at, datetime) else table.deal.map(at)
        return table[table.t <= limit].sort_values("n").groupby("deal").value.last()


@dataclass(frozen=True)
class Question:
    valid_at: datetime
    known_at: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    window: timedelta | None = None
    monthly: bool = False
    group_by: tuple[str, ...] = ()
    credit: str = "at_event"
    only: Mapping[str, str] = field(default_factory=dict)


def conversion(past: Past, asked: Question) -> Numbers:
    """The rows of the answer, and the total under the key `()`."""
    known = past.known(asked.known_at)
    cohort = _cohort(known, asked)
    facts = _reached(known, cohort)
    for name in {*asked.group_by, *asked.only}:
        at = cohort if asked.credit == "at_event" else asked.valid_at
        facts[name] = known.value(name, at).reindex(facts.index)
    for name, value in asked.only.items():
        facts = facts[facts[name] == value]
    facts["period"] = facts.entered.dt.tz_convert(past.zone).dt.strftime("%Y-%m")
    keys = [*(["period"] if asked.monthly else []), *asked.group_by]
    found = dict(_cell((), facts, past))
    if keys:
        for key, part in facts.groupby(keys, dropna=False):
            found |= _cell(tuple(_plain(v) for v in key), part, past)
    return found


def _cohort(past: Past, asked: Question) -> Any:
    """By deal, the instant of its entry into the first stage, and till when it counts."""
    first = next(iter(past.stages))
    entered = past.entries[past.entries.stage == first].set_index("deal").t
    entered = entered[entered <= asked.valid_at]
    if asked.start is not None:
        entered = entered[entered >= asked.start]
    if asked.end is not None:
        entered = entered[entered < asked.end]
    entered.attrs = {"until": asked.valid_at, "window": asked.window}
    return entered


def _reached(past: Past, cohort: Any) -> Frame:
    """One row a deal: the place at which it entered each stage, and its last stage's class."""
    until = pd.Series(pd.Timestamp(cohort.attrs["until"]), index=cohort.index)
    if cohort.attrs["window"] is not None:
        until = (cohort + cohort.attrs["window"]).clip(upper=pd.Timestamp(cohort.attrs["until"]))
    entries = past.entries[past.entries.t <= past.entries.deal.map(until)]
    facts = entries.pivot(index="deal", columns="stage", values="n").reindex(
        index=cohort.index, columns=list(past.stages)
    )
    last = entries.sort_values("n").groupby("deal").stage.last()
    facts["status"] = last.map(past.stages).reindex(facts.index)
    facts["entered"] = cohort
    return facts


def _cell(key: tuple[Any, ...], facts: Frame, past: Past) -> Numbers:
    n = len(facts)
    won, lost = int((facts.status == "won").sum()), int((facts.status == "lost").sum())
    low, high = wilson(won, n)
    found: Numbers = {
        (*key, "n"): n, (*key, "won"): won, (*key, "lost"): lost, (*key, "open"): n - won - lost,
        (*key, "value"): _share(won, n), (*key, "low"): low, (*key, "high"): high,
    }  # fmt: skip
    listed = [stage for stage, kind in past.stages.items() if kind != "lost"]
    for before, stage in zip([None, *listed], listed, strict=False):
        reached = int(facts[stage].notna().sum())
        base, both = n, reached
        if before is not None:
            base, both = int(facts[before].notna().sum()), int((facts[stage] > facts[before]).sum())
        low, high = wilson(reached, n)
        found |= {
            (*key, stage, "reached"): reached,
            (*key, stage, "from_previous"): _share(both, base),
            (*key, stage, "from_first"): _share(reached, n),
            (*key, stage, "low"): low,
            (*key, stage, "high"): high,
        }
    return found


def snapshot(
    past: Past, valid_at: datetime, known_at: datetime | None = None, by: tuple[str, ...] = ()
) -> Numbers:
    """Open deals by stage: how many, their value, their mean age in days."""
    known = past.known(known_at)
    seen = known.entries[known.entries.t <= valid_at].sort_values(["deal", "n"])
    deals = seen.groupby("deal").agg(created=("t", "first"), stage=("stage", "last"))
    deals = deals[deals.stage.map(past.stages) == "open"]
    deals["age"] = (pd.Timestamp(valid_at) - deals.created).dt.total_seconds() / 86_400
    for name in ("amount", *by):
        deals[name] = known.value(name, valid_at).reindex(deals.index)
    found: Numbers = {}
    for key, part in [((), deals), *deals.groupby(["stage", *by], dropna=False)]:
        place = tuple(_plain(value) for value in key)
        found[*place, "deals"] = len(part)
        found[*place, "value"] = round(float(part.amount.sum()), 2)
        found[*place, "mean_age_days"] = float(part.age.mean()) if len(part) else None
    return found


def visits(past: Past) -> dict[str, list[tuple[Any, ...]]]:
    """By deal, in order: stage, class, entered, left, dwell in seconds, exit."""
    table = past.entries.sort_values(["deal", "n"])
    following = table.groupby("deal").shift(-1)
    dwell = (following.t - table.t).dt.total_seconds()
    found: dict[str, list[tuple[Any, ...]]] = {}
    for deal, stage, entered, left, seconds, upcoming in zip(
        table.deal, table.stage, table.t, following.t, dwell, following.stage, strict=True
    ):
        done = not pd.isna(left)
        found.setdefault(deal, []).append((
            stage, past.stages[stage], entered.to_pydatetime(),
            left.to_pydatetime() if done else None, seconds if done else None,
            _exit(past, stage, upcoming) if done else None,
        ))  # fmt: skip
    return found


def _exit(past: Past, stage: str, following: str) -> str:
    kind = past.stages[following]
    if kind not in ("open", past.stages[stage]):
        return kind
    order = list(past.stages)
    return "advance" if order.index(following) > order.index(stage) else "back"


def outcomes(past: Past) -> dict[str, dict[str, Any]]:
    """What every deal has come to: status, stage, when it entered it, when it closed."""
    table = past.entries.sort_values(["deal", "n"])
    table = table.assign(kind=table.stage.map(past.stages))
    last = table.groupby("deal").last()
    closed = table[table.kind != "open"].groupby("deal").t.first().reindex(last.index)
    created = table.groupby("deal").t.first()
    return {
        deal: {
            "status": kind, "stage_id": stage, "stage_entered_at": at.to_pydatetime(),
            "closed_at": None if pd.isna(end) else end.to_pydatetime(),
            "created_at": begun.to_pydatetime(),
        }
        for deal, kind, stage, at, end, begun in zip(
            last.index, last.kind, last.stage, last.t, closed, created, strict=True
        )
    }  # fmt: skip


def wilson(part: int, whole: int) -> tuple[float | None, float | None]:
    """The 95 % score interval, as textbooks write it."""
    if not whole:
        return None, None
    p = part / whole
    middle = (p + Z**2 / (2 * whole)) / (1 + Z**2 / whole)
    half = Z / (1 + Z**2 / whole) * sqrt(p * (1 - p) / whole + Z**2 / (4 * whole**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _plain(value: Any) -> Any:
    return None if pd.isna(value) else value
