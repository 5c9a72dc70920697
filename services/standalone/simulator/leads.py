"""Leads: most new deals from the web and fairs were one before, and most leads never become one."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from services.standalone.simulator.draws import chance, poisson, rounded
from services.standalone.simulator.happening import Happening, money
from services.standalone.simulator.hours import later, moment, workdays
from services.standalone.simulator.journey import Opening
from services.standalone.simulator.world import World

_FROM_LEADS = ("web", "fair")
_LOST_A_DAY = 2.2
_REASONS = ("too_small", "no_budget", "no_need", "unreachable")


def before_deal(rng: Random, opening: Opening) -> Iterator[Happening]:
    """The lead that this deal was converted from, if it was one."""
    if opening.source not in _FROM_LEADS or not chance(rng, 0.8):
        return
    lead_id = f"L-{opening.deal_id.removeprefix('D-')}"
    born = opening.at - timedelta(hours=rng.uniform(20, 200))
    at = later(rng, born.replace(microsecond=0), 0)
    if at >= opening.at - timedelta(hours=8):
        return
    steps = _qualified(rng, lead_id, opening, at)
    yield from (step for step in steps if step.at < opening.at)
    yield Happening(opening.at + timedelta(seconds=1), "lead.converted",
                    {"lead_id": lead_id, "deal_id": opening.deal_id}, lead_id)  # fmt: skip


def _qualified(rng: Random, lead_id: str, opening: Opening, at: datetime) -> Iterator[Happening]:
    """Created, assigned, accepted and qualified in the time that is left before the deal."""
    yield _created(rng, lead_id, opening.source, at)
    left = opening.at - at
    owner = {"lead_id": lead_id, "owner_id": opening.rep.id}
    for share, kind in ((0.1, "lead.assigned"), (0.3, "lead.accepted"), (0.8, "lead.qualified")):
        when = at + timedelta(seconds=int(left.total_seconds() * share))
        yield Happening(when, kind, owner, lead_id)


def unfruitful(
    rng: Random, world: World, first: date, until: date, pace: float
) -> Iterator[Happening]:
    """Leads that end without a deal."""
    number = 0
    for day in workdays(first, until):
        for _ in range(poisson(rng, _LOST_A_DAY * pace)):
            number += 1
            yield from _lost(rng, world, f"L-X{number:05}", moment(rng, day))


def _lost(rng: Random, world: World, lead_id: str, at: datetime) -> Iterator[Happening]:
    yield _created(rng, lead_id, rng.choice(_FROM_LEADS), at)
    owner = {"lead_id": lead_id, "owner_id": rng.choice(world.reps).id}
    at += timedelta(minutes=rng.randint(2, 40))
    yield Happening(at, "lead.assigned", owner, lead_id)
    at = later(rng, at, rng.uniform(0, 1.5))
    if chance(rng, 0.25):
        rejected = owner | {"reason_code": "no_capacity"}
        yield Happening(at, "lead.rejected", rejected, lead_id)
        return
    yield Happening(at, "lead.accepted", owner, lead_id)
    refused = owner | {"reason_code": rng.choice(_REASONS)}
    yield Happening(later(rng, at, rng.uniform(0.5, 8)), "lead.disqualified", refused, lead_id)


def _created(rng: Random, lead_id: str, source: str, at: datetime) -> Happening:
    data: dict[str, Any] = {
        "lead_id": lead_id,
        "source": source,
        "campaign": f"{source}-{at.year}-q{(at.month + 2) // 3}",
        "company_size": rng.choice((20, 50, 120, 300, 800)),
        "budget": money(rounded(rng.uniform(3_000, 60_000))),
    }
    return Happening(at, "lead.created", data, lead_id)
