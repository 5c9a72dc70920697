"""The whole history of the simulated team, up to a given instant."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import orjson

from services.standalone.simulator.context import context
from services.standalone.simulator.delivery import Event, delivered
from services.standalone.simulator.draws import generator
from services.standalone.simulator.happening import Happening
from services.standalone.simulator.hours import local_date
from services.standalone.simulator.journey import Journey, Opening
from services.standalone.simulator.leads import before_deal, unfruitful
from services.standalone.simulator.openings import Openings
from services.standalone.simulator.world import World, build_world

_DAYS_A_MONTH = 30.4375


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate: the same plan gives the same bytes."""

    now: datetime
    seed: int = 7
    months: float = 18
    pace: float = 1.0
    """Scales how many deals and leads begin a day; 1 is a team of twelve."""

    @property
    def first_day(self) -> date:
        return local_date(self.now - timedelta(days=self.months * _DAYS_A_MONTH))


def history(plan: Plan) -> Sequence[Event]:
    """Structured CloudEvents in order of arrival, none of them after `plan.now`."""
    happenings = _as_customers(_happenings(plan))
    return delivered(generator(plan.seed, "delivery"), happenings, plan.now)


def lines(events: Iterable[Event]) -> Iterator[bytes]:
    """NDJSON, one event a line."""
    for event in events:
        yield orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


def _happenings(plan: Plan) -> Iterator[Happening]:
    world = build_world(plan.seed)
    first, until = plan.first_day, local_date(plan.now) + timedelta(days=1)
    yield from context(generator(plan.seed, "context"), world, first, until)
    leads = generator(plan.seed, "leads")
    yield from unfruitful(leads, world, first, until, plan.pace)
    openings = Openings(generator(plan.seed, "openings"), world, plan.pace)
    for opening in openings.all(first, until):
        yield from _deal(plan, world, opening)


def _deal(plan: Plan, world: World, opening: Opening) -> Iterator[Happening]:
    rng = generator(plan.seed, opening.deal_id)
    yield from before_deal(rng, opening)
    yield from Journey(rng, world, opening, plan.now).run()


def _as_customers(happenings: Iterable[Happening]) -> Iterator[Happening]:
    """An account's first won deal makes it a customer, for its later deals too."""
    customers: set[str] = set()
    account_of: dict[str, str] = {}
    for one in sorted(happenings, key=lambda happening: happening.at):
        if one.type == "deal.created":
            account_of[one.data["deal_id"]] = one.data["account_id"]
            yield _for_customer(one) if one.data["account_id"] in customers else one
            continue
        yield one
        if one.type == "deal.won" and (account := account_of[one.data["deal_id"]]) not in customers:
            customers.add(account)
            yield _turned_customer(one, account)


def _for_customer(one: Happening) -> Happening:
    return replace(one, data={**one.data, "customer_type": "existing"})


def _turned_customer(one: Happening, account_id: str) -> Happening:
    data = {"account_id": account_id, "customer_type": "existing"}
    return Happening(one.at + timedelta(seconds=5), "account.upserted", data, account_id)
