"""`/v1/deals`: every filter and order against plain Python over the whole list, and exact pages."""

import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.funnel.read_rig import (
    DIMENSIONS,
    NAMES,
    STAGES,
    STATUSES,
    Params,
    every_status,
    hours_now,
    ids,
    listed,
    moment,
    money,
    population,
    z,
)  # fmt: skip
from tests.integration.funnel.served import Served
from tests.integration.funnel.write_rig import h, said

pytestmark = pytest.mark.postgres
Fits = Callable[[Any], bool]
COLUMNS = (
    "deal_id", "name", "amount", "created_at", "closed_at", "stage_entered_at",
    "expected_close_date", "owner_id", "stage_id",
)  # fmt: skip
NOW_ONLY = ("last_event_at", "last_activity_at")
SINGLE = {
    **{name: tuple(v for v in values if v) for name, values in DIMENSIONS.items()},
    "stage_id": STAGES, "status": STATUSES, "pipeline_id": ("p", "q"),
}  # fmt: skip


async def populated(funnel: Served, chance: random.Random) -> str:
    tenant = await funnel.tenant()
    await funnel.say(tenant, *population(chance))
    await funnel.caught_up(tenant)
    return tenant


def filters(chance: random.Random, until: float) -> list[tuple[Params, Fits]]:
    """Each filter with values of its own, and what it means."""
    return [*(_one_of(chance, name) for name in SINGLE), *_ranges(chance), *_ages(chance, until)]


def _one_of(chance: random.Random, name: str) -> tuple[Params, Fits]:
    some = chance.sample(SINGLE[name], chance.randint(1, len(SINGLE[name])))
    return [(name, value) for value in some], lambda item: item[name] in some


def _ranges(chance: random.Random) -> list[tuple[Params, Fits]]:
    least, most = Decimal(chance.choice(("0", "5", "5.5"))), Decimal(chance.choice(("5.50", "1e3")))
    born, closed = chance.randint(0, 20), chance.choice((45, 46, 50, 51))
    part = chance.choice(("nine", "N", "%", "_", "\\", "s"))
    return [
        ([("amount_gte", f"{least:f}")], lambda i: _some(money(i), lambda a: a >= least)),
        ([("amount_lte", f"{most:f}")], lambda i: _some(money(i), lambda a: a <= most)),
        ([("created_from", z(born))], lambda i: _at(i, "created_at", lambda t: t >= h(born))),
        ([("created_to", z(born))], lambda i: _at(i, "created_at", lambda t: t < h(born))),
        ([("closed_from", z(closed))], lambda i: _at(i, "closed_at", lambda t: t >= h(closed))),
        ([("closed_to", z(closed))], lambda i: _at(i, "closed_at", lambda t: t < h(closed))),
        ([("q", part)], lambda i: _some(i["name"], lambda n: part.lower() in n.lower())),
    ]  # fmt: skip


def _ages(chance: random.Random, until: float) -> list[tuple[Params, Fits]]:
    """`idle` and `in_stage` up to an hour; whole hours, so that limits are met exactly."""
    since = chance.randint(5, min(60, int(until)))
    length, least = f"PT{int(until) - since}H", timedelta(hours=int(until) - since)

    def older(field: str) -> Fits:
        return lambda item: _at(item, field, lambda t: h(until) - t >= least)

    fields = (("idle_gte", "last_event_at"), ("in_stage_gte", "stage_entered_at"))
    return [([(name, length)], older(field)) for name, field in fields]


def _some(value: Any, holds: Callable[[Any], bool]) -> bool:
    return value is not None and holds(value)


def _at(item: Any, field: str, holds: Callable[[Any], bool]) -> bool:
    return _some(moment(item[field]), holds)


@pytest.mark.parametrize("as_of", [None, 44, 50, 95])
async def test_every_filter_is_its_plain_meaning(funnel: Served, as_of: int | None) -> None:
    chance = random.Random(f"filters {as_of}")
    tenant = await populated(funnel, chance)
    instants = [] if as_of is None else [("valid_at", z(as_of))]
    everything = await listed(funnel, tenant, [*every_status(), *instants])
    assert len(everything) == 40
    hits = 0
    for _ in range(3):
        for params, fits in filters(chance, hours_now() if as_of is None else as_of):
            asked = [*params, *instants, *([] if params[0][0] == "status" else every_status())]
            expected = [item for item in everything if fits(item)]
            assert await listed(funnel, tenant, asked) == expected, asked
            hits += 0 < len(expected) < len(everything)
    assert hits > 15, "the population tells filters apart"


@pytest.mark.parametrize("as_of", [None, 50])
async def test_filters_hold_together(funnel: Served, as_of: int | None) -> None:
    chance = random.Random(5)
    tenant = await populated(funnel, chance)
    instants = [] if as_of is None else [("valid_at", z(as_of))]
    everything = await listed(funnel, tenant, [*every_status(), *instants])
    for _ in range(15):
        chosen = chance.sample(filters(chance, hours_now() if as_of is None else as_of), 2)
        params = [pair for given, _ in chosen for pair in given]
        if "status" not in dict(params):
            params += every_status()
        expected = [item for item in everything if all(fits(item) for _, fits in chosen)]
        assert await listed(funnel, tenant, params + instants) == expected, params


def ordered(items: list[Any], sort: list[tuple[str, bool]]) -> list[Any]:
    """Stable sorts from the last key to the first; those without a value behind the others."""
    items = sorted(items, key=lambda item: item["deal_id"])
    for name, down in reversed(sort):
        held = [item for item in items if _value(item, name) is not None]
        none = [item for item in items if _value(item, name) is None]
        items = sorted(held, key=lambda i, n=name: _value(i, n), reverse=down) + none  # type: ignore[misc]  # n is bound
    return items


def _value(item: Any, name: str) -> Any:
    return money(item) if name == "amount" else item[name]


def spelled(sort: list[tuple[str, bool]]) -> Params:
    return [("sort", ",".join(("-" if down else "") + name for name, down in sort))]


@pytest.mark.parametrize("as_of", [None, 50])
async def test_every_order_and_its_pages(funnel: Served, as_of: int | None) -> None:
    chance = random.Random(11)
    tenant = await populated(funnel, chance)
    instants = [] if as_of is None else [("valid_at", z(as_of))]
    everything = await listed(funnel, tenant, [*every_status(), *instants])
    columns = COLUMNS if as_of else (*COLUMNS, *NOW_ONLY)
    sorts = [[(name, down)] for name in columns for down in (False, True)]
    sorts += [[(a, chance.random() < 0.5), (b, chance.random() < 0.5)]
              for a, b in (chance.sample(columns, 2) for _ in range(8))]  # fmt: skip
    for sort in sorts:
        expected = ids(ordered(everything, sort))
        for limit in (chance.choice((7, 13, 40)), 500):
            asked = [*spelled(sort), *every_status(), *instants]
            assert ids(await listed(funnel, tenant, asked, limit=limit)) == expected, (sort, limit)


@pytest.mark.parametrize("as_of", [None, 50])
async def test_pages_of_every_length_make_the_same_list(funnel: Served, as_of: int | None) -> None:
    tenant = await populated(funnel, random.Random(3))
    instants = [] if as_of is None else [("valid_at", z(as_of)), ("idle_gte", "PT5H")]
    asked = [("sort", "-amount,owner_id"), *instants]
    whole = await listed(funnel, tenant, asked)
    assert len(whole) > 10
    for limit in range(1, len(whole) + 2):
        assert await listed(funnel, tenant, asked, limit=limit) == whole, limit


async def test_what_is_gone_is_listed_only_on_request(funnel: Served) -> None:
    tenant = await populated(funnel, random.Random(8))
    everything = await listed(funnel, tenant, every_status())
    assert {item["status"] for item in everything} == set(STATUSES)
    shown = [item for item in everything if item["status"] in ("open", "won", "lost")]
    assert await listed(funnel, tenant, []) == shown
    earlier = await listed(funnel, tenant, [("valid_at", z(44))])
    assert ids(earlier) == ids(everything), "before it was merged or deleted, a deal was there"


async def test_a_cursor_continues_its_own_question_only(funnel: Served) -> None:
    tenant = await populated(funnel, random.Random(2))
    first = await funnel.get(tenant, "/v1/deals", limit=2, sort="-amount", region="north")
    cursor = first["next_cursor"]
    for changed in (
        {"sort": "amount", "region": "north"},
        {"sort": "-amount", "region": "south"},
        {"sort": "-amount"},
        {"sort": "-amount", "region": "north", "valid_at": z(50)},
    ):
        answer = await funnel.call(tenant, "GET", "/v1/deals", params={**changed, "cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), changed
    other = await funnel.get(
        tenant, "/v1/deals", region="north", sort="-amount", limit=3, cursor=cursor
    )
    assert len(other["items"]) == 3


async def test_a_deal_that_comes_between_pages_moves_no_other(funnel: Served) -> None:
    tenant = await populated(funnel, random.Random(4))
    whole = ids(await listed(funnel, tenant, []))
    first = await funnel.get(tenant, "/v1/deals", limit=5)
    await funnel.say(tenant, said(1, "deal.created", "a-new"), said(1, "deal.created", "z-new"))
    await funnel.caught_up(tenant)
    rest = await funnel.get(tenant, "/v1/deals", limit=500, cursor=first["next_cursor"])
    assert ids(first["items"]) + ids(rest["items"]) == [*whole, "z-new"]


async def test_names_are_found_by_part_whatever_their_case(funnel: Served) -> None:
    tenant = await funnel.tenant()
    told = [said(0, "deal.created", f"d{n}", name=name) for n, name in enumerate(NAMES) if name]
    await funnel.say(tenant, *told)
    await funnel.caught_up(tenant)
    for part, found in (("NINE", 2), ("%", 1), ("_", 1), ("\\", 1), ("zzz", 0)):
        assert len(await listed(funnel, tenant, [("q", part)])) == found, part
