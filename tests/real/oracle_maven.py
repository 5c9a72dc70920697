"""The Maven CRM set read by pandas: what its tables say of stages, values and dimensions."""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from tests.real.oracle import Past

STAGES = {"Prospecting": "open", "Engaging": "open", "Won": "won", "Lost": "lost"}
FIRST_DAY = "2016-10-20"
AFTER = datetime(2018, 1, 1, tzinfo=UTC)
"""An instant behind everything in the set."""
Frame = Any


def pipeline(folder: Path, deals: Collection[str] | None = None) -> Frame:
    """Opportunities with their product's price, their account's and their agent's columns."""
    table = _read(folder / "sales_pipeline.csv")
    if deals is not None:
        table = table[table.opportunity_id.isin(deals)]
    table["product"] = table["product"].replace({"GTXPro": "GTX Pro"})
    table = table.merge(_read(folder / "products.csv"), on="product", how="left")
    table = table.merge(_read(folder / "accounts.csv"), on="account", how="left")
    table = table.merge(_read(folder / "sales_teams.csv"), on="sales_agent", how="left")
    begun = table.engage_date.replace("", FIRST_DAY)
    table["begun"] = pd.to_datetime(begun, utc=True)
    table["closed"] = pd.to_datetime(table.close_date.replace("", None), utc=True)
    return table.rename(columns={"opportunity_id": "deal"})


def past(table: Frame) -> Past:
    engaged, closed = table[table.deal_stage != "Prospecting"], table[table.closed.notna()]
    entries = [
        table.assign(n=1, t=table.begun, stage="Prospecting"),
        engaged.assign(n=2, t=engaged.begun, stage="Engaging"),
        closed.assign(n=3, t=closed.closed, stage=closed.deal_stage),
    ]
    won = closed[closed.deal_stage == "Won"]
    amounts = [
        _since(table, table.sales_price.astype(float)),
        won.assign(n=3, t=won.closed, value=won.close_value.astype(float)),
    ]
    columns = {
        "owner_id": "sales_agent", "team_id": "regional_office", "product_line": "product",
        "region": "office_location", "industry": "sector",
    }  # fmt: skip
    changes = {name: _since(table, table[column]) for name, column in columns.items()}
    changes["amount"] = pd.concat(amounts)
    moves = pd.concat(entries)[["deal", "n", "t", "stage"]]
    return Past(moves, STAGES, changes, "UTC", moves)


def _since(table: Frame, values: Any) -> Frame:
    """Values that hold from the deal's first instant on."""
    return table.assign(n=1, t=table.begun, value=values)


def _read(path: Path) -> Frame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)
