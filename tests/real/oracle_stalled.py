"""Which deals of the loan log stood too long in an open stage, worked out row by row by pandas.

A stay begins with a row that names a stage and ends with the next such row of the deal. It has been
too long from the instant at which the limit is over, if the deal is still there then; moved on at
that very instant is in time.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pandas as pd

_OPEN = ("A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED", "A_ACCEPTED", "A_FINALIZED")


@dataclass(frozen=True, order=True)
class Stalled:
    """One stay that became too long; instants in UTC, `until` of `None`: it lasts."""

    deal: str
    row: int
    entered: Any
    due: Any
    until: Any
    stage: str
    owner: str | None
    requested: float


def stays(table: Any, limit: timedelta) -> Any:
    """Every stay in an open stage that outlasts the limit, from all of the log."""
    found = table[table.activity.str.startswith("A_")].sort_values(["deal", "n"])
    found = found.assign(left=found.groupby("deal").t.shift(-1), due=found.t + limit)
    found = found[found.activity.isin(_OPEN) & (found.left.isna() | (found.left > found.due))]
    return found.assign(owner=_owners(table, found))


def _owners(table: Any, found: Any) -> list[str | None]:
    """Who had last submitted the case or taken up a work item of it by the due instant."""
    starts = table.activity.str.startswith("W_") & (table.lifecycle == "START")
    taken = table[((table.activity == "A_SUBMITTED") | starts) & (table.resource != "")]
    by_deal = {deal: rows.sort_values("n") for deal, rows in taken.groupby("deal")}
    owners: list[str | None] = []
    for row in found.itertuples():
        held = by_deal.get(row.deal)
        names = [] if held is None else list(held.resource[held.t <= row.due])
        owners.append(names[-1] if names else None)
    return owners


def as_of(found: Any, now: Any) -> list[Stalled]:
    """What is known of those stays at an instant, oldest deal id first."""
    instant = pd.Timestamp(now)
    return sorted(
        Stalled(
            row.deal, row.n, row.t, row.due, row.left if row.left <= instant else None,
            row.activity, row.owner, float(row.amount_req),
        )
        for row in found[found.due <= instant].itertuples()
    )  # fmt: skip
