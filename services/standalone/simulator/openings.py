"""When deals and leads begin: so many a working day, fewer in summer, renewals by their date."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from services.standalone.simulator.draws import poisson
from services.standalone.simulator.hours import local_date, moment, workdays
from services.standalone.simulator.journey import Opening
from services.standalone.simulator.world import (
    NEW_BUSINESS,
    PRODUCTS,
    RENEWAL,
    SOURCES,
    Account,
    World,
)

_NEW_A_DAY, _RENEWALS_A_DAY = 3.4, 0.9
_SEASON = (0.9, 1.0, 1.15, 1.05, 1.0, 1.0, 0.75, 0.7, 1.15, 1.2, 1.15, 0.8)  # by month


@dataclass(frozen=True, slots=True)
class Openings:
    """Draws the beginnings of one history; `pace` scales how many there are."""

    rng: Random
    world: World
    pace: float

    def all(self, first: date, until: date) -> Iterator[Opening]:
        number = 0
        for day in workdays(first, until):
            for opening in self._of_day(day, number):
                number += 1
                yield opening

    def _of_day(self, day: date, number: int) -> Iterator[Opening]:
        season = _SEASON[day.month - 1] * self.pace
        for _ in range(poisson(self.rng, _NEW_A_DAY * season)):
            number += 1
            yield self._new_business(day, f"D-{number:05}")
        for _ in range(poisson(self.rng, _RENEWALS_A_DAY * season)):
            number += 1
            yield self._renewal(day, f"D-{number:05}")

    def _new_business(self, day: date, deal_id: str) -> Opening:
        account = self.rng.choice(self.world.accounts)
        source = self.rng.choices(SOURCES, (3, 6, 4, 5, 3))[0]
        return self._opening(day, deal_id, account, source)

    def _opening(self, day: date, deal_id: str, account: Account, source: str) -> Opening:
        """The account's owner takes most of its deals."""
        reps = self.world.reps
        own = self.rng.random() < 0.7
        rep = self.world.rep(account.owner_id) if own else self.rng.choice(reps)
        product = self.rng.choices(PRODUCTS, (3, 4, 5, 4))[0]
        at = moment(self.rng, day)
        return Opening(deal_id, at, NEW_BUSINESS, account, rep, product, source)

    def _renewal(self, day: date, deal_id: str) -> Opening:
        account = self.rng.choice([one for one in self.world.accounts if one.customer])
        at = moment(self.rng, day)
        due = local_date(at) + timedelta(days=self.rng.randint(45, 90))
        rep = self.world.rep(account.owner_id)
        product = self.rng.choice(PRODUCTS)
        return Opening(deal_id, at, RENEWAL, account, rep, product, "renewal", due)
