"""The loan log read by pandas: what it says of stages, owners and amounts, row by row."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from tests.real.oracle import Past

STAGES = {
    "A_SUBMITTED": "open", "A_PARTLYSUBMITTED": "open", "A_PREACCEPTED": "open",
    "A_ACCEPTED": "open", "A_FINALIZED": "open",
    "A_APPROVED": "won", "A_REGISTERED": "won", "A_ACTIVATED": "won",
    "A_DECLINED": "lost", "A_CANCELLED": "lost",
}  # fmt: skip


def log(path: Path, cases: Collection[str] | None = None) -> Any:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if cases is not None:
        table = table[table.case_id.isin(cases)]
    table["t"] = pd.to_datetime(table.timestamp, utc=True, format="ISO8601")
    table["n"] = table.event_no.astype(int)
    return table.rename(columns={"case_id": "deal"})


def past(table: Any) -> Past:
    """A deal is owned by who submitted it, then by who last took up one of its work items.

    The log names neither regions nor products: nobody has one.
    """
    entries = table[table.activity.str.startswith("A_")].assign(stage=lambda t: t.activity)
    submitted = table[table.activity == "A_SUBMITTED"]
    started = table.activity.str.startswith("W_") & (table.lifecycle == "START")
    owners = table[((table.activity == "A_SUBMITTED") | started) & (table.resource != "")]
    changes = {
        "amount": submitted.assign(value=submitted.amount_req.astype(float)),
        "owner_id": owners.assign(value=owners.resource),
    }
    changes |= dict.fromkeys(("region", "product_line"), changes["owner_id"].iloc[:0])
    moves = entries[["deal", "n", "t", "stage"]]
    return Past(moves, STAGES, changes, "Europe/Amsterdam", table[["deal", "t"]])


def activities(table: Any) -> dict[str, int]:
    """By deal, what was done on it: quotes, and work items completed or begun by nobody named."""
    work = table.activity.str.startswith("W_")
    nobody = (table.lifecycle == "START") & (table.resource == "")
    done = table.activity.str.startswith("O_") | work & ((table.lifecycle == "COMPLETE") | nobody)
    counts: dict[str, int] = done.groupby(table.deal).sum().astype(int).to_dict()
    return counts
