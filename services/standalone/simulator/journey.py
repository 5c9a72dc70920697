"""One deal's life: stays in stages, changes while they last, and how each of them ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from services.standalone.simulator.activities import Diary
from services.standalone.simulator.draws import chance, lognormal, rounded
from services.standalone.simulator.happening import Happening, money
from services.standalone.simulator.hours import later, local_date
from services.standalone.simulator.world import (
    CURRENCY,
    LOSS_REASONS,
    PARTNERS,
    Account,
    Pipeline,
    Product,
    Rep,
    Stage,
    World,
)

COMPETITORS = ("competitor-a", "competitor-b", "competitor-c")


@dataclass(frozen=True, slots=True)
class Opening:
    """What is known of a deal when it begins."""

    deal_id: str
    at: datetime
    pipeline: Pipeline
    account: Account
    rep: Rep
    product: Product
    source: str
    renewal_date: date | None = None


class Journey:
    """Walks one deal from its creation until it ends or `until` is passed.

    All randomness is the deal's own, so that a longer history only appends to a shorter one.
    """

    def __init__(self, rng: Random, world: World, opening: Opening, until: datetime) -> None:
        self._rng, self._world, self._opening, self._until = rng, world, opening, until
        self._at, self._rep, self._position = opening.at, opening.rep, 0
        self._amount = rounded(lognormal(rng, opening.product.amount, opening.product.sigma))
        self._close = self._guess_close()
        self._diary = Diary(rng, opening.deal_id, opening.account.id)
        self._open, self._doubled, self._gone = True, False, False
        self._happenings: list[Happening] = []

    def run(self) -> Sequence[Happening]:
        """Everything that happens, in no particular order; some of it may lie after `until`."""
        self._emit(self._at, "deal.created", self._creation(self._opening.deal_id))
        if chance(self._rng, 0.012):
            self._double()
        while self._open and self._at < self._until:
            self._stay()
        return [one for one in self._happenings if not self._beyond(one)]

    def _beyond(self, one: Happening) -> bool:
        """Nobody keeps an appointment for a deal that was thrown away."""
        return self._gone and one.at > self._at and one.type.startswith("activity.")

    @property
    def _stage(self) -> Stage:
        return self._opening.pipeline.stages[self._position]

    def _creation(self, deal_id: str) -> dict[str, Any]:
        opening, account = self._opening, self._opening.account
        data: dict[str, Any] = {
            "deal_id": deal_id,
            "pipeline_id": opening.pipeline.id,
            "stage_id": self._stage.id,
            "name": f"{opening.product.id.title()} for {account.name}",
            "amount": money(self._amount),
            "currency": CURRENCY,
            "owner_id": opening.rep.id,
            "team_id": opening.rep.team_id,
            "account_id": account.id,
            "region": account.region,
            "product_line": opening.product.id,
            "customer_type": "existing" if account.customer else "new",
            "industry": account.industry,
            "source": opening.source,
            "expected_close_date": self._close.isoformat(),
        }
        return data | self._extras()

    def _extras(self) -> dict[str, Any]:
        extras: dict[str, Any] = {}
        if self._opening.source == "partner":
            extras["channel_partner_id"] = self._rng.choice(PARTNERS)
        if self._opening.renewal_date is not None:
            extras["renewal_date"] = self._opening.renewal_date.isoformat()
        if chance(self._rng, 0.3):
            extras["attributes"] = {"units": self._rng.randint(1, 12)}
        return extras

    def _double(self) -> None:
        """Somebody enters the deal twice; soon the copy is merged into the first."""
        self._doubled = True
        copy = f"{self._opening.deal_id}-copy"
        entered = later(self._rng, self._at, self._rng.uniform(0.2, 3))
        self._emit(entered, "deal.created", self._creation(copy), copy)
        merged = later(self._rng, entered, self._rng.uniform(0.5, 4))
        self._emit(merged, "deal.merged", self._with_actor({"merged_deal_ids": [copy]}))

    def _stay(self) -> None:
        entered = self._at
        left = later(self._rng, entered, self._length())
        self._happenings += self._diary.stay(entered, left, self._rep.id)
        self._change(entered, left)
        self._at = left
        if chance(self._rng, 0.006) and not self._doubled:
            self._delete()
        else:
            self._end_stay()

    def _length(self) -> float:
        return lognormal(self._rng, self._stage.days * self._rep.pace, self._stage.sigma)

    def _change(self, entered: datetime, left: datetime) -> None:
        """What may be corrected during a stay, each at most once, at its own moment."""
        for share, change in (
            (0.16, self._reprice),
            (0.2, self._push),
            (0.025, self._reassign),
            (0.05, self._annotate),
        ):
            at = later(
                self._rng, entered, (left - entered) / timedelta(days=1) * self._rng.random()
            )
            if chance(self._rng, share) and at < left:
                change(at)

    def _reprice(self, at: datetime) -> None:
        before = self._amount
        self._amount = rounded(before * self._rng.choice((0.8, 0.9, 0.95, 1.1, 1.25)))
        if self._amount != before:
            self._update(at, "amount", money(before), money(self._amount))

    def _push(self, at: datetime) -> None:
        """Mostly to a later day, now and then to an earlier one."""
        by = self._rng.choice((-10, 14, 14, 30, 30, 45))
        self._move_close(at, self._close + timedelta(days=by))

    def _move_close(self, at: datetime, close: date) -> None:
        before, self._close = self._close, close
        self._update(at, "expected_close_date", before.isoformat(), close.isoformat())

    def _reassign(self, at: datetime) -> None:
        before = self._rep
        self._rep = self._rng.choice([rep for rep in self._world.reps if rep != before])
        changes = {"owner_id": self._rep.id, "team_id": self._rep.team_id}
        previous = {"owner_id": before.id, "team_id": before.team_id}
        data = {"changes": changes, "previous": previous, "actor_id": before.manager_id}
        self._emit(at, "deal.updated", self._of_deal(data))

    def _annotate(self, at: datetime) -> None:
        decided = self._rng.choice(("buyer", "engineer", "director"))
        self._emit(
            at, "deal.updated", self._with_actor({"changes": {"attributes.decider": decided}})
        )

    def _update(self, at: datetime, field: str, before: str, after: str) -> None:
        data = {"changes": {field: after}, "previous": {field: before}}
        self._emit(at, "deal.updated", self._with_actor(data))

    def _delete(self) -> None:
        self._emit(self._at, "deal.deleted", self._with_actor({}))
        self._open = chance(self._rng, 0.4)
        self._gone = not self._open
        if self._open:
            self._at = later(self._rng, self._at, self._rng.uniform(0.1, 2))
            self._emit(self._at, "deal.restored", self._with_actor({}))

    def _end_stay(self) -> None:
        stage = self._stage
        weights = (stage.advance * self._rep.skill, stage.lose, stage.back, stage.skip)
        ends = (self._advance, self._lose, self._step_back, self._skip)
        self._rng.choices(ends, weights)[0]()

    def _advance(self) -> None:
        self._move_to(self._position + 1)

    def _skip(self) -> None:
        self._move_to(self._position + 2)

    def _step_back(self) -> None:
        self._move_to(self._position - 1)

    def _move_to(self, position: int) -> None:
        if position >= len(self._opening.pipeline.stages):
            return self._win()
        before, self._position = self._stage, position
        data = {"stage_id": self._stage.id, "from_stage_id": before.id}
        self._emit(self._at, "deal.stage_changed", self._with_actor(data))
        overdue = self._close < local_date(self._at) + timedelta(days=self._stage.days)
        if overdue and chance(self._rng, 0.6):
            self._move_close(self._at + timedelta(seconds=40), self._guess_close())
        return None

    def _win(self) -> None:
        won = {"amount": money(self._amount), "currency": CURRENCY}
        self._emit(self._at, "deal.won", self._with_actor(won))
        self._open = False
        order = won | {"account_id": self._opening.account.id, "deal_id": self._opening.deal_id}
        ordered = later(self._rng, self._at, self._rng.uniform(0.5, 5))
        order["order_id"] = f"order-{self._opening.deal_id}"
        self._emit(ordered, "order.placed", order, self._opening.account.id)

    def _lose(self) -> None:
        reason = self._rng.choices(LOSS_REASONS, (5, 6, 4, 3, 2))[0]
        data = {"reason_code": reason}
        if reason == "competitor":
            data["competitor"] = self._rng.choice(COMPETITORS)
        self._emit(self._at, "deal.lost", self._with_actor(data))
        self._open = chance(self._rng, 0.05)
        if self._open:
            self._reopen()

    def _reopen(self) -> None:
        self._at = later(self._rng, self._at, self._rng.uniform(14, 75))
        self._emit(self._at, "deal.reopened", self._with_actor({"stage_id": self._stage.id}))
        self._move_close(self._at + timedelta(seconds=40), self._guess_close())

    def _guess_close(self) -> date:
        ahead = sum(stage.days for stage in self._opening.pipeline.stages[self._position :])
        return local_date(self._at) + timedelta(days=round(ahead * self._rng.uniform(1.0, 1.8)))

    def _with_actor(self, data: dict[str, Any]) -> dict[str, Any]:
        return self._of_deal(data | {"actor_id": self._rep.id})

    def _of_deal(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"deal_id": self._opening.deal_id} | data

    def _emit(
        self, at: datetime, kind: str, data: dict[str, Any], subject: str | None = None
    ) -> None:
        self._happenings.append(Happening(at, kind, data, subject or self._opening.deal_id))
