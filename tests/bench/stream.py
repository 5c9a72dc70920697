"""A seeded stream of B2B deals as a CRM tells them: the same events for every contestant.

Deals overlap widely, so one batch rarely holds two events of a deal; some activities come late, and
some records come twice. Times lie in the past, in the order in which Headway learned of the events.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from libs.common.contracts.catalogue import log_key
from libs.common.contracts.cloudevents import canonical
from libs.common.contracts.envelope import Envelope, to_headers
from libs.common.eventlog.port import NewRecord

TENANT = "bench"
PIPELINE = "b2b"
OPEN = ("lead", "qualified", "demo", "offer", "negotiation")
WON, LOST = "signed", "gone"
START = datetime(2025, 1, 6, 8, tzinfo=UTC)
SPAN = timedelta(days=180)
LATE, TWICE = 0.01, 0.005
"""Shares of activities that are told hours afterwards, and of records that are sent again."""
EVENTS_OF_A_DEAL = 9
"""On average, roughly: how many deals a stream of a given length needs."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a deal, in its canonical envelope."""

    deal_id: str
    envelope: Envelope

    @property
    def record(self) -> NewRecord:
        key = log_key(TENANT, self.deal_id)
        return NewRecord(key, self.envelope.data, to_headers(self.envelope))


def stream(count: int, seed: int = 1) -> list[Told]:
    """`count` records, in the order in which they are appended."""
    chance = Random(seed)
    deals = max(1, count // EVENTS_OF_A_DEAL)
    told: list[Told] = []
    while len(told) < count:
        told += [event for _ in range(deals) for event in _deal(chance)]
    told.sort(key=lambda event: event.envelope.recorded_at)
    return told[:count]


def _deal(chance: Random) -> Iterator[Told]:
    """One deal's life. Only activities come late: a plain consumer, which takes stages in the order
    of arrival, still ends at the same stage."""
    deal_id = f"{chance.getrandbits(60):015x}"
    parts = list(_parts(chance, deal_id))
    birth = chance.random() * 0.4
    at = sorted(birth + (1 - birth) * chance.random() for _ in parts)
    for (type_, data), share in zip(parts, at, strict=True):
        occurred = START + SPAN * share
        known = occurred + timedelta(seconds=1 + chance.random() * 4)
        if type_ == "activity.logged" and chance.random() < LATE:
            known += timedelta(hours=chance.uniform(1, 72))
        event = Told(deal_id, _envelope(chance, type_, occurred, known, data))
        yield event
        if chance.random() < TWICE:
            yield event


def _envelope(
    chance: Random, type_: str, occurred: datetime, known: datetime, data: dict[str, Any]
) -> Envelope:
    id_ = f"{chance.getrandbits(96):024x}"
    return Envelope(TENANT, "/crm", id_, type_, occurred, known, canonical(data))


def _parts(chance: Random, deal_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    actor = f"u{chance.randrange(200)}"
    yield "deal.created", _created(chance, deal_id, actor)
    for stage_id in OPEN[1 : chance.randint(1, len(OPEN))]:
        yield from _work(chance, deal_id, actor)
        yield "deal.stage_changed", {"deal_id": deal_id, "stage_id": stage_id, "actor_id": actor}
    yield from _work(chance, deal_id, actor)
    end = chance.random()
    if end < 0.25:
        amount = f"{chance.randrange(1_000, 200_000)}.00"
        won = {"amount": amount, "currency": "EUR", "actor_id": actor}
        yield "deal.won", {"deal_id": deal_id, **won}
    elif end < 0.7:
        reason = chance.choice(("price", "timing", "competitor", "no_need"))
        yield "deal.lost", {"deal_id": deal_id, "reason_code": reason, "actor_id": actor}


def _created(chance: Random, deal_id: str, owner: str) -> dict[str, Any]:
    return {
        "deal_id": deal_id,
        "pipeline_id": PIPELINE,
        "stage_id": OPEN[0],
        "name": f"Order {deal_id[:6]}",
        "amount": f"{chance.randrange(1_000, 200_000)}.00",
        "currency": "EUR",
        "owner_id": owner,
        "account_id": f"a{chance.randrange(2_000)}",
        "region": chance.choice(("north", "south", "east", "west")),
        "expected_close_date": _day(chance),
        "attributes": {"score": chance.randrange(100), "campaign": f"c{chance.randrange(30)}"},
    }


def _work(chance: Random, deal_id: str, actor: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What happens while a deal stays in a stage: calls, mails, meetings, corrections."""
    for _ in range(chance.randint(0, 3)):
        yield (
            "activity.logged",
            {
                "activity_id": f"{chance.getrandbits(60):015x}",
                "deal_id": deal_id,
                "kind": chance.choice(("call", "email", "meeting", "note")),
                "direction": chance.choice(("outbound", "inbound")),
                "actor_id": actor,
            },
        )
    if chance.random() < 0.4:
        changes = chance.choice((
            {"amount": f"{chance.randrange(1_000, 200_000)}.00"},
            {"expected_close_date": _day(chance)},
            {"attributes.score": chance.randrange(100)},
        ))  # fmt: skip
        yield "deal.updated", {"deal_id": deal_id, "changes": changes, "actor_id": actor}


def _day(chance: Random) -> str:
    return (START + timedelta(days=chance.randrange(30, 300))).date().isoformat()
