"""What the team does next: a trickle that only ever takes steps that the deals allow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Self

from services.standalone.simulator.activities import Diary
from services.standalone.simulator.delivery import Event, cloud_event, numbered
from services.standalone.simulator.happening import Happening, money
from services.standalone.simulator.journey import Journey, Opening
from services.standalone.simulator.world import (
    CURRENCY,
    LOSS_REASONS,
    NEW_BUSINESS,
    PIPELINES,
    PRODUCTS,
    SOURCES,
    World,
)


@dataclass(frozen=True, slots=True)
class OpenDeal:
    """What the trickle has to know of a deal, as the public interface tells it."""

    deal_id: str
    pipeline_id: str
    stage_id: str
    owner_id: str
    account_id: str
    amount: str | None

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self | None:
        """From a deal's public state; `None` for a deal that the simulator cannot continue."""
        pipeline = PIPELINES.get(state["pipeline_id"])
        if state["status"] != "open" or pipeline is None or not state["owner_id"]:
            return None
        if pipeline.position(state["stage_id"]) is None:
            return None
        money_now = state["amount"] or {}
        return cls(state["deal_id"], state["pipeline_id"], state["stage_id"], state["owner_id"],
                   state["account_id"] or "acc-001", money_now.get("amount"))  # fmt: skip


def next_events(
    rng: Random, world: World, deals: Sequence[OpenDeal], now: datetime, count: int
) -> Sequence[Event]:
    """`count` or a few more events at `now`, of different open deals or of new ones."""
    at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    chosen = rng.sample(deals, min(count, len(deals)))
    happenings: list[Happening] = []
    for number in range(count):
        if number >= len(chosen) or rng.random() < 0.06:
            happenings.append(_opened(rng, world, at, number))
        else:
            happenings += _step(rng, chosen[number], at)
    return [cloud_event(sequence, one, "live") for sequence, one in numbered(happenings)]


def _opened(rng: Random, world: World, at: datetime, number: int) -> Happening:
    """A new deal; its id carries the millisecond, so that no restart repeats one."""
    account, product = rng.choice(world.accounts), rng.choice(PRODUCTS)
    rep = world.rep(account.owner_id)
    deal_id = f"D-L{int(at.timestamp() * 1000)}{number:02}"
    opening = Opening(deal_id, at, NEW_BUSINESS, account, rep, product, rng.choice(SOURCES))
    return next(one for one in Journey(rng, world, opening, at).run() if one.type == "deal.created")


def _step(rng: Random, deal: OpenDeal, at: datetime) -> Iterator[Happening]:
    if rng.random() < 0.6:
        yield _activity(rng, deal, at)
    elif rng.random() < 0.25:
        yield _repriced(rng, deal, at)
    else:
        yield _moved(rng, deal, at)


def _activity(rng: Random, deal: OpenDeal, at: datetime) -> Happening:
    diary = Diary(rng, deal.deal_id, deal.account_id, count=int(at.timestamp() * 1000))
    return diary.done(at, deal.owner_id)


def _repriced(rng: Random, deal: OpenDeal, at: datetime) -> Happening:
    before = float(deal.amount or 5_000)
    changes = {"amount": money(before * rng.choice((0.9, 0.95, 1.1))), "currency": CURRENCY}
    return _of(deal, at, "deal.updated", {"changes": changes})


def _moved(rng: Random, deal: OpenDeal, at: datetime) -> Happening:
    """On, back, lost or, from the last stage, won."""
    stages = PIPELINES[deal.pipeline_id].stages
    place = PIPELINES[deal.pipeline_id].position(deal.stage_id) or 0
    stage = stages[place]
    end = rng.choices(("on", "lost", "back"), (stage.advance, stage.lose, stage.back))[0]
    if end == "lost":
        return _of(deal, at, "deal.lost", {"reason_code": rng.choice(LOSS_REASONS)})
    if end == "on" and place + 1 == len(stages):
        return _of(deal, at, "deal.won", {})
    target = stages[place + 1 if end == "on" else place - 1]
    return _of(deal, at, "deal.stage_changed", {"stage_id": target.id, "from_stage_id": stage.id})


def _of(deal: OpenDeal, at: datetime, kind: str, data: Mapping[str, Any]) -> Happening:
    own = {"deal_id": deal.deal_id, **data, "actor_id": deal.owner_id}
    return Happening(at, kind, own, deal.deal_id)


def due(started: datetime, now: datetime, per_minute: float) -> int:
    """How many events the trickle owes since it started."""
    return int((now - started) / timedelta(minutes=1) * per_minute)
