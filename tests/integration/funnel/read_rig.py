"""Deals to read: a random population, its pages, and the instants of its answers."""

import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.integration.funnel.served import Served
from tests.integration.funnel.write_rig import START, Said, h, said, stage

STATUSES = ("open", "won", "lost", "deleted", "merged")
STAGES = ("lead", "offer", "demo")
DIMENSIONS = {
    "owner_id": ("u1", "u2", None),
    "team_id": ("t1", "t2", None),
    "account_id": ("a1", "a2", None),
    "region": ("north", "south", None),
    "product_line": ("press", "lathe", None),
    "customer_type": ("new", "existing", None),
    "industry": ("steel", "wood", None),
    "source": ("fair", "web", None),
    "channel_partner_id": ("p1", "p2", None),
}
NAMES = ("Nine presses", "nine Lathes", "100%", "a_b", "back\\slash", None)
DATES = ("2026-05-01", "2026-06-01", None)
Params = list[tuple[str, str]]


def population(chance: random.Random, size: int = 40) -> list[Said]:
    """Deals of every status with many ties and gaps; all hours are whole."""
    events = [event for n in range(size) for event in _life(chance, f"d{n:02d}")]
    return [*events, said(90, "deal.merged", "d00", merged_deal_ids=["d01", "d02", "d03"])]


def _life(chance: random.Random, deal: str) -> list[Said]:
    given = {name: chance.choice(values) for name, values in DIMENSIONS.items()}
    given["amount"] = chance.choice(("5", "5.50", "1200", "0", None))
    given["name"], given["expected_close_date"] = chance.choice(NAMES), chance.choice(DATES)
    given["pipeline_id"] = chance.choice(("p", "q"))
    born = chance.randint(0, 20)
    first = said(born, "deal.created", deal, stage_id=chance.choice(STAGES))
    told = [first.again(data=first.data | _some(given))]  # `source` is a field here
    told += [stage(chance.randint(21, 40), chance.choice(STAGES), deal)] * chance.randint(0, 1)
    ends: list[list[Said]] = [
        [], [], [said(45, "deal.won", deal)], [said(50, "deal.lost", deal)],
        [said(50, "deal.deleted", deal)],
        [said(41, "activity.logged", deal, activity_id=f"c{deal}", kind="call")],
        [said(45, "deal.lost", deal), said(55, "deal.reopened", deal)],
    ]  # fmt: skip
    return told + chance.choice(ends)


def _some(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def every_status() -> Params:
    return [("status", status) for status in STATUSES]


async def listed(
    funnel: Served, tenant: str, params: Params, path: str = "/v1/deals", limit: int = 500
) -> list[Any]:
    """The whole list, page by page; every page but the last one is full."""
    items: list[Any] = []
    cursor: list[tuple[str, str]] = []
    while True:
        asked = [*params, ("limit", str(limit)), *cursor]
        answer = await funnel.call(tenant, "GET", path, params=asked)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            assert len(page["items"]) <= limit
            return items
        assert len(page["items"]) == limit
        cursor = [("cursor", page["next_cursor"])]


def ids(items: list[Any]) -> list[str]:
    return [item["deal_id"] for item in items]


def z(hours: float) -> str:
    """An hour of the stories, as answers and questions spell it."""
    return h(hours).isoformat().replace("+00:00", "Z")


def moment(spelled: str | None) -> datetime | None:
    return None if spelled is None else datetime.fromisoformat(spelled)


def hour(spelled: str | None) -> float | None:
    at = moment(spelled)
    return None if at is None else (at - START).total_seconds() / 3600


def money(item: Any) -> Decimal | None:
    return None if item["amount"] is None else Decimal(item["amount"]["amount"])


def hours_now() -> float:
    return (datetime.now(UTC) - START).total_seconds() / 3600
