"""A fixed stream of deliveries: deals from creation to their end, accounts and users that change
under them, merges, and what real senders do: events come late, and some come twice."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

Event = dict[str, Any]
START = datetime(2024, 3, 4, 8, tzinfo=UTC)
PIPELINE = {
    "name": "B2B",
    "stages": [
        {"id": "lead", "name": "Lead", "class": "open"},
        {"id": "offer", "name": "Offer", "class": "open"},
        {"id": "talks", "name": "Talks", "class": "open"},
        {"id": "signed", "name": "Signed", "class": "won"},
        {"id": "gone", "name": "Gone", "class": "lost"},
    ],
}
_OPEN = ("lead", "offer", "talks")
_REGIONS = ("north", "south", "west")
_LATE, _TWICE, _MERGED = 0.08, 0.03, 0.04


@dataclass
class _Story:
    """One tenant's happenings as (hours since the start, event)."""

    chance: random.Random
    told: list[tuple[float, Event]] = field(default_factory=list)
    ids: count = field(default_factory=count)  # type: ignore[type-arg]  # ints

    def tell(self, at: float, type_: str, **data: Any) -> None:
        number = next(self.ids)
        event = {
            "specversion": "1.0",
            "id": f"evt-{number}",
            "source": "/crm/tests",
            "type": type_,
            "time": (START + timedelta(hours=at)).isoformat(),
            "sequence": str(number),
            "data": data,
        }
        self.told.append((at, event))


def stream(seed: int, deals: int) -> Sequence[Event]:
    """About nine deliveries for each deal, in the order in which they are sent."""
    story = _Story(random.Random(seed))
    _context(story, accounts=max(3, deals // 12), hours=deals)
    for number in range(deals):
        _deal(story, f"D-{number}", number * 1.0, accounts=max(3, deals // 12))
    for number in range(1, deals, max(2, int(1 / _MERGED))):
        story.tell(deals + 60, "deal.merged", deal_id=f"D-{number - 1}",
                   merged_deal_ids=[f"D-{number}"])  # fmt: skip
    return list(_delivered(story))


def _context(story: _Story, accounts: int, hours: int) -> None:
    """Accounts and users, most of them before their deals; each changes now and then."""
    chance = story.chance
    for number in range(accounts):
        for _ in range(3):
            story.tell(chance.uniform(-10, hours), "account.upserted", account_id=f"A-{number}",
                       region=chance.choice(_REGIONS), tier=chance.choice("abc"))  # fmt: skip
    for number in range(8):
        story.tell(-20, "user.upserted", user_id=f"U-{number}", name=f"User {number}",
                   team_id=f"T-{number % 3}")  # fmt: skip
        story.tell(chance.uniform(0, hours), "user.upserted", user_id=f"U-{number}",
                   team_id=f"T-{chance.randrange(3)}")  # fmt: skip


def _deal(story: _Story, deal: str, at: float, accounts: int) -> None:
    chance = story.chance
    story.tell(at, "deal.created", deal_id=deal, pipeline_id="b2b", stage_id="lead", name=deal,
               amount=f"{chance.randrange(1, 90) * 1000}.00", currency="EUR",
               owner_id=f"U-{chance.randrange(8)}",
               account_id=f"A-{chance.randrange(accounts)}")  # fmt: skip
    for _ in range(chance.randint(2, 11)):
        at += chance.uniform(0.5, 9)
        _change(story, deal, at)
    if chance.random() < 0.6:
        _end(story, deal, at + 1)


def _change(story: _Story, deal: str, at: float) -> None:
    chance = story.chance
    match chance.randrange(4):
        case 0:
            story.tell(at, "deal.stage_changed", deal_id=deal, stage_id=chance.choice(_OPEN))
        case 1:
            changes = {"amount": f"{chance.randrange(1, 90) * 1000}.50", "attributes.heat": at}
            story.tell(at, "deal.updated", deal_id=deal, changes=changes)
        case 2:
            changes = {"expected_close_date": f"2024-{chance.randint(5, 12):02d}-15"}
            story.tell(at, "deal.updated", deal_id=deal, changes=changes)
        case _:
            story.tell(at, "activity.logged", activity_id=f"{deal}-{at:.3f}", deal_id=deal,
                       kind=chance.choice(("call", "meeting", "note")))  # fmt: skip


def _end(story: _Story, deal: str, at: float) -> None:
    match story.chance.randrange(5):
        case 0 | 1:
            story.tell(at, "deal.won", deal_id=deal)
        case 2:
            story.tell(at, "deal.lost", deal_id=deal, reason_code="price")
        case 3:
            story.tell(at, "deal.lost", deal_id=deal, reason_code="price")
            story.tell(at + 5, "deal.reopened", deal_id=deal)
        case _:
            story.tell(at, "deal.deleted", deal_id=deal)


def _delivered(story: _Story) -> Iterator[Event]:
    """In order of time, but for those that are late or come again."""
    chance = story.chance
    arrivals = [
        (at + (chance.uniform(5, 120) if chance.random() < _LATE else 0) + again, event)
        for at, event in story.told
        for again in ((0.0, chance.uniform(0, 50)) if chance.random() < _TWICE else (0.0,))
    ]
    arrivals.sort(key=lambda arrival: (arrival[0], int(arrival[1]["sequence"])))
    for _, event in arrivals:
        yield event
