"""The Maven CRM set as events. Its publisher calls the firm fictitious: it is for shape only.

It holds the present only, so its past is what its two dates tell: a deal is created in Prospecting
and moves on to Engaging within the instant `engage_date` begins (told apart by `sequence`), and is
won or lost as `close_date` begins. Prospecting deals have no date: they are created on `UNDATED`,
the first day of the set. A deal's value is its product's list price until it is won, then
`close_value`; Lost rows have 0 there, which says nothing. Accounts and people are older than deals.
`GTXPro` is meant for the product `GTX Pro`; the other misspellings stay as published.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

PIPELINE_FILE = "crm-maven/sales_pipeline.csv"
ACCOUNTS_FILE = "crm-maven/accounts.csv"
PRODUCTS_FILE = "crm-maven/products.csv"
TEAMS_FILE = "crm-maven/sales_teams.csv"
ZONE, CURRENCY, PIPELINE_ID = "UTC", "USD", "hardware"
UNDATED, BEFORE = "2016-10-20", "2016-01-01"
PIPELINE = {
    "name": "Hardware",
    "stages": [
        {"id": "Prospecting", "class": "open"},
        {"id": "Engaging", "class": "open"},
        {"id": "Won", "class": "won"},
        {"id": "Lost", "class": "lost"},
    ],
}
_MEANT = {"GTXPro": "GTX Pro"}
Row = Mapping[str, str]
Event = dict[str, Any]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def accounts(table: Iterable[Row]) -> Iterator[Event]:
    """An account's sector is its industry, its office's country its region."""
    for row in table:
        account = row["account"]
        parent = {"parent_id": row["subsidiary_of"]} if row["subsidiary_of"] else {}
        said = {"account_id": account, "name": account, "industry": row["sector"],
                "region": row["office_location"], **parent}  # fmt: skip
        yield _event(f"account-{account}", "account.upserted", BEFORE, 1, said)


def people(table: Iterable[Row]) -> Iterator[Event]:
    """The regional offices as teams, their managers and agents as users."""
    rows_ = list(table)
    managers = {row["manager"]: row["regional_office"] for row in rows_}
    for office in sorted(set(managers.values())):
        said = {"team_id": office, "name": office}
        yield _event(f"team-{office}", "team.upserted", BEFORE, 1, said)
    for manager, office in managers.items():
        said = {"user_id": manager, "name": manager, "team_id": office, "role": "manager"}
        yield _event(f"user-{manager}", "user.upserted", BEFORE, 1, said)
    for row in rows_:
        agent = row["sales_agent"]
        said = {"user_id": agent, "name": agent, "team_id": row["regional_office"],
                "manager_id": row["manager"], "role": "agent"}  # fmt: skip
        yield _event(f"user-{agent}", "user.upserted", BEFORE, 1, said)


def deals(table: Iterable[Row], products: Iterable[Row]) -> Iterator[Event]:
    """One to three events a deal, as far as it came."""
    prices = {row["product"]: row["sales_price"] for row in products}
    for row in table:
        yield from _deal(row, prices)


def _deal(row: Row, prices: Mapping[str, str]) -> Iterator[Event]:
    deal, stage = row["opportunity_id"], row["deal_stage"]
    begun = row["engage_date"] or UNDATED
    yield _event(f"{deal}-1", "deal.created", begun, 1, _created(row, prices))
    if stage == "Prospecting":
        return
    said = {"deal_id": deal, "stage_id": "Engaging", "actor_id": row["sales_agent"]}
    yield _event(f"{deal}-2", "deal.stage_changed", begun, 2, said)
    if stage == "Won":
        won = {"deal_id": deal, "amount": row["close_value"], "currency": CURRENCY}
        yield _event(f"{deal}-3", "deal.won", row["close_date"], 3, won)
    elif stage == "Lost":
        yield _event(f"{deal}-3", "deal.lost", row["close_date"], 3, {"deal_id": deal})


def _created(row: Row, prices: Mapping[str, str]) -> Event:
    product = _MEANT.get(row["product"], row["product"])
    account = {"account_id": row["account"]} if row["account"] else {}
    return {
        "deal_id": row["opportunity_id"],
        "pipeline_id": PIPELINE_ID,
        "stage_id": "Prospecting",
        "amount": prices[product],
        "currency": CURRENCY,
        "owner_id": row["sales_agent"],
        "product_line": product,
        **account,
    }


def _event(id_: str, type_: str, day: str, sequence: int, data: Event) -> Event:
    return {
        "specversion": "1.0",
        "id": id_,
        "source": "/crm/maven",
        "type": type_,
        "time": f"{day}T00:00:00Z",
        "sequence": str(sequence),
        "data": data,
    }


def context(folder: Path) -> list[Event]:
    """Every account, team and user of the set's folder."""
    told = accounts(rows(folder / Path(ACCOUNTS_FILE).name))
    return [*told, *people(rows(folder / Path(TEAMS_FILE).name))]


def opportunities(folder: Path, every: int = 1) -> list[Event]:
    """The events of all deals of the set's folder, or of each `every`-th one."""
    table = rows(folder / Path(PIPELINE_FILE).name)[::every]
    return list(deals(table, rows(folder / Path(PRODUCTS_FILE).name)))
