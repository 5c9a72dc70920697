"""The first metrics in plain pandas, over a `Past` and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from tests.real.oracle import Frame, Numbers, Past, wilson

DAY = 86_400.0
EXITS = ("advance", "back", "won", "lost", "moved")


@dataclass(frozen=True)
class Asked:
    metric: str
    valid_at: datetime
    known_at: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    monthly: bool = False
    group_by: tuple[str, ...] = ()
    credit: str = "at_event"
    only: Mapping[str, str] = field(default_factory=dict)
    threshold: timedelta | None = None
    by: str = "in_stage"


def metric(past: Past, asked: Asked) -> Numbers:
    """Every number under the key of its row; the total under the key `()`."""
    known = past.known(asked.known_at)
    seen = known.entries[known.entries.t <= asked.valid_at].sort_values(["deal", "n"])
    rows = _keyed(known, _ROWS[asked.metric](known, seen, asked), asked)
    places = ["place"] if asked.metric in ("dwell", "flow", "stalled", "loss_reasons") else []
    rest = [*(["period"] if asked.monthly else []), *asked.group_by]
    keys = [*rest[: asked.monthly], *places, *asked.group_by]
    figures = _FIGURES[asked.metric]
    found: Numbers = {((), name): value for name, value in figures(rows).items()}
    if rest:
        rows = rows.assign(beside=rows.groupby(rest, dropna=False).deal.transform("size"))
    for key, part in rows.groupby(keys, dropna=False) if keys else [((), rows)]:
        place = tuple(None if pd.isna(value) else value for value in key)
        found |= {(place, name): value for name, value in figures(part).items()}
    return found


def _keyed(past: Past, rows: Frame, asked: Asked) -> Frame:
    """The rows in the asked time, with their period and the dimensions that they count for."""
    if asked.start is not None:
        rows = rows[rows.t >= asked.start]
    if asked.end is not None:
        rows = rows[rows.t < asked.end]
    rows = rows.assign(period=rows.t.dt.tz_convert(past.zone).dt.strftime("%Y-%m"))
    for name in {*asked.group_by, *asked.only}:
        at = rows.t if asked.credit == "at_event" else asked.valid_at
        rows = rows.assign(**{name: value_at(past, name, rows.deal, at)})
    for name, value in asked.only.items():
        rows = rows[rows[name] == value]
    return rows.assign(beside=len(rows))


def value_at(past: Past, name: str, deals: Any, at: Any) -> Any:
    """For each row, the deal's value as of an instant."""
    wanted = pd.DataFrame({"deal": deals, "at": at}).assign(row=range(len(deals)))
    wanted["at"] = pd.to_datetime(wanted["at"], utc=True).astype("datetime64[us, UTC]")
    changes = past.changes[name].sort_values(["t", "n"])[["deal", "t", "value"]]
    changes = changes.assign(t=changes.t.astype("datetime64[us, UTC]"))
    found = pd.merge_asof(wanted.sort_values("at"), changes, left_on="at", right_on="t", by="deal")
    return found.sort_values("row").value.to_numpy()


def _closes(past: Past, seen: Frame, asked: Asked) -> Frame:
    """Deals that are closed, with the instant at which they were in this life."""
    table = seen.assign(kind=seen.stage.map(past.stages))
    last = table.groupby("deal").kind.last().rename("what")
    table = table.join(last, on="deal")
    other = table[table.kind != table.what].groupby("deal").n.max().rename("after")
    table = table.join(other, on="deal").fillna({"after": -1})
    own = table[(table.kind == table.what) & (table.n > table.after) & (table.what != "open")]
    rows = own.groupby("deal").agg(t=("t", "first"), what=("what", "first")).reset_index()
    created = seen.groupby("deal").t.first()
    rows["seconds"] = (rows.t - rows.deal.map(created)).dt.total_seconds()
    rows["amount"] = value_at(past, "amount", rows.deal, asked.valid_at)
    return rows.assign(place=None)


def _closed(*kinds: str) -> Callable[..., Frame]:
    def rows(past: Past, seen: Frame, asked: Asked) -> Frame:
        found = _closes(past, seen, asked)
        return found[found.what.isin(kinds)]

    return rows


def _stays(past: Past, seen: Frame, asked: Asked) -> Frame:
    following = seen.groupby("deal").shift(-1)
    rows = seen.assign(place=seen.stage, left=following.t, then=following.stage)
    rows["what"] = [
        "open" if pd.isna(then) else _exit(past, stage, then)
        for stage, then in zip(rows.stage, rows.then, strict=True)
    ]
    rows["seconds"] = (rows.left - rows.t).dt.total_seconds()
    return rows


def _open_stays(past: Past, seen: Frame, asked: Asked) -> Frame:
    rows = _stays(past, seen, asked)
    return rows[rows.stage.map(past.stages) == "open"]


def _moves(past: Past, seen: Frame, asked: Asked) -> Frame:
    stays = _stays(past, seen, asked)
    left = stays[stays.what != "open"]
    return pd.concat([stays.assign(what="entered"), left.assign(t=left.left)], ignore_index=True)


def _stalled(past: Past, seen: Frame, asked: Asked) -> Frame:
    deals = seen.groupby("deal").agg(
        created=("t", "first"), place=("stage", "last"), entered=("t", "last")
    )
    deals = deals[deals.place.map(past.stages) == "open"].reset_index()
    since = {"in_stage": deals.entered, "age": deals.created}.get(asked.by)
    if since is None:
        since = deals.deal.map(_touched(past, asked))
    deals = deals[(pd.Timestamp(asked.valid_at) - since) > pd.Timedelta(asked.threshold)]
    amount = value_at(past, "amount", deals.deal, asked.valid_at)
    return deals.assign(t=pd.Timestamp(asked.valid_at), amount=amount)


def _touched(past: Past, asked: Asked) -> Any:
    """By deal, the last instant at which anything was said of it."""
    until = min(asked.valid_at, asked.known_at or asked.valid_at)
    return past.touched[past.touched.t <= until].groupby("deal").t.max()


def _exit(past: Past, stage: str, following: str) -> str:
    kind = past.stages[following]
    if kind not in ("open", past.stages[stage]):
        return kind
    order = list(past.stages)
    return "advance" if order.index(following) > order.index(stage) else "back"


def _win_rate(part: Frame) -> dict[str, Any]:
    won, n = part[part.what == "won"], len(part)
    low, high = wilson(len(won), n)
    return {
        "n": n, "won": len(won), "lost": n - len(won), "low": low, "high": high,
        "value": len(won) / n if n else None,
        "value_won": _sum(won), "value_lost": _sum(part[part.what == "lost"]),
    }  # fmt: skip


def _cycle(part: Frame) -> dict[str, Any]:
    return {"n": len(part), "mean_days": _of(part.seconds.mean(), DAY)} | {
        name: _of(part.seconds.quantile(q), DAY)
        for name, q in (("median_days", 0.5), ("p75_days", 0.75), ("p90_days", 0.9))
    }


def _size(part: Frame) -> dict[str, Any]:
    valued = part[part.amount.fillna(0) != 0].amount
    quantiles = {"median": 0.5, "p75": 0.75, "p90": 0.9}
    return {
        "n": len(part), "without_amount": len(part) - len(valued), "won_value": _sum(part),
        "mean": _of(valued.mean()), **{k: _of(valued.quantile(q)) for k, q in quantiles.items()},
    }  # fmt: skip


def _reasons(part: Frame) -> dict[str, Any]:
    """A reason's share is of all that was lost beside it: under the same period and dimensions."""
    whole = int(part.beside.iloc[0]) if len(part) else 0
    low, high = wilson(len(part), whole)
    share = len(part) / whole if whole else None
    return {"n": len(part), "value": share, "low": low, "high": high, "value_lost": _sum(part)}


def _dwell(part: Frame) -> dict[str, Any]:
    done, left = part[part.what != "open"], part.what.value_counts()
    return {
        "n": part.deal.nunique(), "visits": len(part), "open": len(part) - len(done),
        "mean_seconds": _of(done.seconds.mean()), "median_seconds": _of(done.seconds.median()),
        "exits": {name: int(left.get(name, 0)) for name in EXITS},
    }  # fmt: skip


def _flow(part: Frame) -> dict[str, Any]:
    named = {"entered": "entered", "advanced": "advance"} | {k: k for k in EXITS[1:]}
    moves = part.what.value_counts()
    counts = {shown: int(moves.get(what, 0)) for shown, what in named.items()}
    return {"n": part.deal.nunique(), **counts}


def _stock(part: Frame) -> dict[str, Any]:
    return {"n": len(part), "deals": len(part), "value": _sum(part)}


def _sum(part: Frame) -> float:
    return round(float(part.amount.sum()), 2)


def _of(value: float, unit: float = 1.0) -> float | None:
    return None if pd.isna(value) else float(value) / unit


_ROWS: Mapping[str, Callable[..., Frame]] = {
    "win_rate": _closed("won", "lost"), "sales_cycle": _closed("won"), "deal_size": _closed("won"),
    "loss_reasons": _closed("lost"), "dwell": _open_stays, "flow": _moves, "stalled": _stalled,
}  # fmt: skip
_FIGURES: Mapping[str, Callable[[Frame], dict[str, Any]]] = {
    "win_rate": _win_rate, "sales_cycle": _cycle, "deal_size": _size, "loss_reasons": _reasons,
    "dwell": _dwell, "flow": _flow, "stalled": _stock,
}  # fmt: skip
