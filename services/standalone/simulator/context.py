"""Who there is: teams, managers, reps and accounts, how they change, and what marketing costs."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from services.standalone.simulator.draws import chance, rounded
from services.standalone.simulator.happening import Happening, money
from services.standalone.simulator.hours import ZONE, moment, workday_from
from services.standalone.simulator.world import CURRENCY, REGIONS, Account, Rep, Team, World

_AHEAD = 16  # days; a lead may be a week older than its deal
CHANNELS = ("fairs", "web", "outbound")


def context(rng: Random, world: World, first: date, until: date) -> Iterator[Happening]:
    """Everybody some days before the first deal, then changes and monthly spending."""
    opening = moment(rng, workday_from(first - timedelta(days=_AHEAD)))
    for team in world.teams:
        yield _team(opening, team)
        yield _manager(opening, team)
    for rep in world.reps:
        yield _rep(opening, rep)
    for account in world.accounts:
        yield _account(opening, account)
        yield from _revisions(rng, account, first, until)
    yield from _costs(rng, first, until)


def _team(at: datetime, team: Team) -> Happening:
    data = {"team_id": team.id, "name": team.name, "manager_id": team.manager_id, "timezone": ZONE}
    return Happening(at, "team.upserted", data, team.id)


def _manager(at: datetime, team: Team) -> Happening:
    data = _user(team.manager_id, f"Manager of {team.name}", team.id, "manager")
    return Happening(at, "user.upserted", data, team.manager_id)


def _rep(at: datetime, rep: Rep) -> Happening:
    data = _user(rep.id, rep.name, rep.team_id, "rep") | {"manager_id": rep.manager_id}
    return Happening(at, "user.upserted", data, rep.id)


def _user(user_id: str, name: str, team_id: str, role: str) -> dict[str, Any]:
    return {"user_id": user_id, "name": name, "team_id": team_id, "role": role,
            "timezone": ZONE, "active": True}  # fmt: skip


def _account(at: datetime, account: Account) -> Happening:
    data: dict[str, Any] = {
        "account_id": account.id,
        "name": account.name,
        "tier": account.tier,
        "industry": account.industry,
        "region": account.region,
        "customer_type": "existing" if account.customer else "new",
        "owner_id": account.owner_id,
    }
    if account.parent_id is not None:
        data["parent_id"] = account.parent_id
    return Happening(at, "account.upserted", data, account.id)


def _revisions(rng: Random, account: Account, first: date, until: date) -> Iterator[Happening]:
    """One account in ten gets another tier on some later day."""
    if not chance(rng, 0.1):
        return
    day = workday_from(first + timedelta(days=rng.randint(10, max(11, (until - first).days))))
    tier = rng.choice([tier for tier in ("a", "b", "c") if tier != account.tier])
    data = {"account_id": account.id, "tier": tier}
    yield Happening(moment(rng, day), "account.upserted", data, account.id)


def _costs(rng: Random, first: date, until: date) -> Iterator[Happening]:
    day = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    while day < until:
        at = moment(rng, workday_from(day))
        for number, channel in enumerate(CHANNELS):
            data = {"amount": money(rounded(rng.uniform(4_000, 14_000))), "currency": CURRENCY,
                    "channel": channel, "region": rng.choice(REGIONS)}  # fmt: skip
            spent = at + timedelta(seconds=number)
            yield Happening(spent, "cost.recorded", data, channel)
        day = (day + timedelta(days=32)).replace(day=1)
