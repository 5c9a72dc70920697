"""Accounts, leads, users and teams over HTTP: what holds of each, and over which time."""

import pytest

from tests.integration.funnel.read_rig import hours_now, listed, z
from tests.integration.funnel.served import Served
from tests.integration.funnel.write_rig import Said, said

pytestmark = pytest.mark.postgres
UPSERTED = ("account", "user", "team")
KINDS = (*UPSERTED, "lead")


async def told(funnel: Served, *events: Said) -> str:
    tenant = await funnel.tenant()
    await funnel.say(tenant, *events)
    await funnel.caught_up(tenant)
    return tenant


def upserted(at: float, kind: str, id_: str, **more: object) -> Said:
    return said(at, f"{kind}.upserted", id_, **more)


async def missing(funnel: Served, tenant: str, path: str, **params: str) -> bool:
    answer = await funnel.call(tenant, "GET", path, params=params)
    assert answer.status_code in (200, 404), answer.text
    return answer.status_code == 404


@pytest.mark.parametrize("kind", UPSERTED)
async def test_what_was_said_holds_until_the_next_saying(funnel: Served, kind: str) -> None:
    first, second = upserted(0, kind, "x", name="Old"), upserted(5, kind, "x", name="New")
    tenant = await told(funnel, first, second)
    key = {f"{kind}_id": "x"}
    old = {**key, "name": "Old", "valid_from": z(0), "valid_to": z(5)}
    new = {**key, "name": "New", "valid_from": z(5), "valid_to": None}
    for at, expected in ((0, old), (4.9, old), (5, new), (9, new)):
        shown = await funnel.get(tenant, f"/v1/{kind}s/x", valid_at=z(at))
        assert {name: shown[name] for name in expected} == expected, at
        assert await listed(funnel, tenant, [("valid_at", z(at))], f"/v1/{kind}s") == [shown]
    now = await funnel.get(tenant, f"/v1/{kind}s/x")
    assert {name: now[name] for name in new} == new
    assert await missing(funnel, tenant, f"/v1/{kind}s/x", valid_at=z(-1))


async def test_what_is_left_out_stays_as_it_was(funnel: Served) -> None:
    tenant = await told(
        funnel,
        upserted(0, "account", "a", name="A", region="north"),
        upserted(2, "account", "a", region="south"),
    )
    shown = await funnel.get(tenant, "/v1/accounts/a")
    assert (shown["name"], shown["region"]) == ("A", "south")


async def test_what_came_late_was_not_known_before(funnel: Served) -> None:
    tenant = await told(
        funnel,
        upserted(0, "account", "a", region="north"),
        upserted(6, "account", "a", region="east"),
        upserted(3, "account", "a", region="south", known=9),
    )
    for valid, known, region, until in (
        (4, 8, "north", 6), (4, 9, "south", 6), (2, 8, "north", 6), (2, 9, "north", 3),
    ):  # fmt: skip
        at = {"valid_at": z(valid), "known_at": z(known)}
        shown = await funnel.get(tenant, "/v1/accounts/a", **at)
        assert (shown["region"], shown["valid_to"]) == (region, z(until)), (valid, known)
    assert await missing(funnel, tenant, "/v1/accounts/a", known_at=z(-1))


LEAD: tuple[tuple[str, dict[str, str], str], ...] = (
    ("lead.created", {"source": "fair"}, "new"),
    ("lead.assigned", {"owner_id": "u-1"}, "assigned"),
    ("lead.accepted", {}, "accepted"),
    ("lead.qualified", {}, "qualified"),
    ("lead.converted", {"deal_id": "d"}, "converted"),
)


async def test_a_leads_status_and_when_it_was_reached(funnel: Served) -> None:
    events = []
    for at, (type_, data, _) in enumerate(LEAD):
        event = said(at, type_, "l")
        events.append(event.again(data=event.data | data))
    tenant = await told(funnel, *events)
    for at, (_, _, status) in enumerate(LEAD):
        shown = await funnel.get(tenant, "/v1/leads/l", valid_at=z(at))
        assert (shown["lead_id"], shown["status"], shown["valid_from"]) == ("l", status, z(at))
        reached = {name for _, _, name in LEAD[: at + 1]}
        assert {name for _, _, name in LEAD if f"{name}_at" in shown} == reached
        assert shown[f"{status}_at"] == z(at)
    assert (shown["source"], shown["owner_id"]) == ("fair", "u-1")
    assert await missing(funnel, tenant, "/v1/leads/l", valid_at=z(-1))


@pytest.mark.parametrize("type_", ["lead.rejected", "lead.disqualified"])
async def test_leads_that_come_to_nothing(funnel: Served, type_: str) -> None:
    tenant = await told(funnel, said(0, "lead.created", "l"), said(1, type_, "l"))
    assert (await funnel.get(tenant, "/v1/leads/l"))["status"] == type_.partition(".")[2]


@pytest.mark.parametrize("kind", KINDS)
async def test_pages_of_every_length_make_the_same_list(funnel: Served, kind: str) -> None:
    type_ = "lead.created" if kind == "lead" else f"{kind}.upserted"
    names = [f"x{n}" for n in range(7)] + ["ü", "Z", "a b"]
    tenant = await told(
        funnel, *(said(0, type_, name) for name in names), said(5, type_, "later")
    )  # fmt: skip
    path = f"/v1/{kind}s"
    whole = await listed(funnel, tenant, [("valid_at", z(1))], path)
    assert [item[f"{kind}_id"] for item in whole] == sorted(names)
    for limit in range(1, len(whole) + 2):
        assert await listed(funnel, tenant, [("valid_at", z(1))], path, limit) == whole
    assert len(await listed(funnel, tenant, [], path, 3)) == len(whole) + 1


async def test_a_cursor_belongs_to_its_kind_and_instants(funnel: Served) -> None:
    told_ = [upserted(0, kind, f"x{n}") for kind in UPSERTED for n in range(3)]
    tenant = await told(funnel, *told_)
    cursor = (await funnel.get(tenant, "/v1/users", limit=1))["next_cursor"]
    for path, params in (("/v1/teams", {}), ("/v1/users", {"valid_at": z(1)})):
        answer = await funnel.call(tenant, "GET", path, params={**params, "cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), path


async def test_what_lies_ahead_is_not_there_yet(funnel: Served) -> None:
    ahead = hours_now() + 5
    tenant = await told(funnel, upserted(ahead, "user", "u").again(known=1))
    assert await missing(funnel, tenant, "/v1/users/u")
    assert await listed(funnel, tenant, [], "/v1/users") == []
    assert not await missing(funnel, tenant, "/v1/users/u", valid_at=z(ahead))


async def test_others_and_hostile_ids(funnel: Served) -> None:
    tenant, other = await told(funnel, upserted(0, "user", "u")), await funnel.tenant()
    assert await missing(funnel, other, "/v1/users/u")
    assert await listed(funnel, other, [], "/v1/users") == []
    for kind in KINDS:
        assert await missing(funnel, tenant, f"/v1/{kind}s/none")
        for hostile, status in (("%00", 422), ("x" * 300, 422), ("%ED%A0%80", 404)):
            answer = await funnel.call(tenant, "GET", f"/v1/{kind}s/{hostile}")
            assert (answer.status_code, answer.json()["status"]) == (status, status), hostile
        for query in ("limit=0", "limit=501", "unknown=1", "valid_at=9999-01-01T00:00:00Z"):
            answer = await funnel.call(tenant, "GET", f"/v1/{kind}s?{query}")
            assert answer.status_code == 422, query
            assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]
