"""`/v1/deals`, single and listed: the exact state as of any two instants, absences, refusals."""

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from tests.integration.funnel.oracle import COMPARED, World
from tests.integration.funnel.read_rig import (
    STATUSES,
    every_status,
    hour,
    hours_now,
    ids,
    listed,
    money,
    z,
)
from tests.integration.funnel.served import Served
from tests.integration.funnel.test_against_oracle import DEFINED, STORIES
from tests.integration.funnel.write_rig import Said, said, stage

pytestmark = pytest.mark.postgres
TIMES = ("stage_entered_at", "created_at", "closed_at")
NEVER = 10_000.0


async def told(funnel: Served, *events: Said) -> str:
    tenant = await funnel.tenant()
    await funnel.say(tenant, *events)
    await funnel.caught_up(tenant)
    return tenant


async def missing(funnel: Served, tenant: str, deal: str, **params: str) -> bool:
    answer = await funnel.call(tenant, "GET", f"/v1/deals/{deal}", params=params)
    assert answer.status_code in (200, 404), answer.text
    return answer.status_code == 404


async def test_the_state_of_a_deal_in_full(funnel: Served) -> None:
    created = said(
        0, "deal.created", "D-1001", pipeline_id="b2b", name="Nine presses", amount="12000.00",
        owner_id="u-17", team_id="t-2", account_id="a-9", region="north", product_line="press",
        customer_type="new", industry="steel", expected_close_date="2026-06-01", stage_id="lead",
        attributes={"seats": 9},
    )  # fmt: skip
    tenant = await told(
        funnel,
        created.again(data=created.data | {"source": "fair"}),
        stage(1, "proposal", "D-1001"),
        said(2, "deal.updated", "D-1001", changes={"expected_close_date": "2026-06-30"}),
        said(3, "activity.logged", "D-1001", activity_id="c", kind="call", known=3.5),
    )
    expected = {
        "deal_id": "D-1001", "pipeline_id": "b2b", "name": "Nine presses", "status": "open",
        "life": 1, "stage_id": "proposal", "stage_name": "proposal", "stage_class": "open",
        "stage_entered_at": z(1), "created_at": z(0), "closed_at": None,
        "amount": {"amount": "12000.00", "currency": "EUR"}, "owner_id": "u-17",
        "team_id": "t-2", "account_id": "a-9", "region": "north", "product_line": "press",
        "customer_type": "new", "industry": "steel", "source": "fair",
        "channel_partner_id": None, "expected_close_date": "2026-06-30", "push_count": 1,
        "renewal_date": None, "lost_reason": None, "first_activity_at": z(3),
        "last_activity_at": z(3), "last_activity_kind": "call", "last_customer_touch_at": z(3),
        "next_planned_at": None, "activity_count": 1, "merged_into": None,
        "attributes": {"seats": 9}, "last_event_at": z(3), "recorded_at": z(3.5),
    }  # fmt: skip
    shown = await funnel.get(tenant, "/v1/deals/D-1001")
    version = shown.pop("version")
    assert (type(version), version >= 1) == (int, True)
    assert shown == expected
    for params in ([], [("valid_at", z(3))], [("known_at", z(3.5))]):
        assert await listed(funnel, tenant, params) == [expected | {"version": version}], params


MONEY = {"5": "5.00", "5.5": "5.50", "1200": "1200.00", "0": "0.00", "0.123456": "0.123456"}


async def test_one_amount_has_one_spelling_now_and_then(funnel: Served) -> None:
    events = [said(0, "deal.created", f"d{a}", amount=a, currency="CNY") for a in MONEY]
    tenant = await told(funnel, *events)
    for params in ([], [("valid_at", z(1))]):
        shown = {i["deal_id"][1:]: i["amount"] for i in await listed(funnel, tenant, params)}
        assert shown == {a: {"amount": s, "currency": "CNY"} for a, s in MONEY.items()}


async def test_instants_are_spelled_in_utc(funnel: Served) -> None:
    tenant = await told(funnel, said(1.5, "deal.created"), said(2.00025, "deal.won"))
    for params in ({}, {"valid_at": z(3)}):
        shown = await funnel.get(tenant, "/v1/deals/d", **params)
        assert shown["created_at"] == "2026-03-02T10:30:00Z"
        assert shown["closed_at"] == "2026-03-02T11:00:00.900000Z"


def plain(item: Any) -> dict[str, Any]:
    """An answer in the words of the oracle."""
    shown = {name: item[name] for name in COMPARED} | {name: hour(item[name]) for name in TIMES}
    attributes = orjson.dumps(item["attributes"], option=orjson.OPT_SORT_KEYS).decode()
    return shown | {"amount": money(item), "attributes": attributes}


async def defined(funnel: Served) -> str:
    tenant = await funnel.tenant()
    for pipeline, stages in DEFINED.items():
        listed_ = [{"id": id_, "name": id_, "class": kind} for id_, kind in stages]
        body = {"name": pipeline, "stages": listed_}
        await funnel.call(tenant, "PUT", f"/v1/pipelines/{pipeline}", json=body)
    return tenant


@pytest.mark.parametrize(
    "story", ["merged", "late", "dimensions", "reopened", "deleted and restored", "moved"]
)
async def test_as_of_any_two_instants_it_is_a_naive_replay(funnel: Served, story: str) -> None:
    """Lists and single deals, before and after what came late; the oracle shares no code."""
    tenant, events = await defined(funnel), STORIES[story]
    await funnel.say(tenant, *events)
    await funnel.caught_up(tenant)
    deals = {event.data["deal_id"] for event in events if "deal_id" in event.data}
    last = max(event.at for event in events)
    for known in sorted({event.known for event in events} | {NEVER}):
        for valid in sorted({event.at for event in events if event.at > 1} | {last + 1, -9}):
            world = World(events, DEFINED, valid, known)
            at = {"valid_at": z(valid), "known_at": z(min(known, hours_now()))}
            items = await listed(funnel, tenant, [*every_status(), *at.items()])
            assert {i["deal_id"]: plain(i) for i in items} == {
                deal: world.state(deal) for deal in sorted(world.deals)
            }, (valid, known)
            assert {i["deal_id"]: i["activity_count"] for i in items} == {
                deal: world.activities(deal) for deal in world.deals
            }
            by_id = {item["deal_id"]: item for item in items}
            for deal in sorted(deals):
                if deal not in by_id:
                    assert await missing(funnel, tenant, deal, **at)
                else:
                    assert await funnel.get(tenant, f"/v1/deals/{deal}", **at) == by_id[deal]


async def test_the_present_is_the_past_as_of_now(funnel: Served) -> None:
    tenant = await told(funnel, *STORIES["merged"], *STORIES["late"])
    present = await listed(funnel, tenant, every_status())
    for params in ([("valid_at", z(hours_now()))], [("known_at", z(hours_now()))]):
        assert await listed(funnel, tenant, [*every_status(), *params]) == present


async def test_what_lies_ahead_by_a_moment_is_of_the_present_however_asked(funnel: Served) -> None:
    """A source's clock may be a little ahead of ours."""
    now = hours_now()
    tenant = await told(funnel, said(now + 0.005, "deal.created", known=now))
    known = {"known_at": z(hours_now())}
    for params in ({}, known):
        assert ids(await listed(funnel, tenant, list(params.items()))) == ["d"]
        assert not await missing(funnel, tenant, "d", **params)
    idle = [("idle_gte", "PT1S"), *known.items()]
    assert await listed(funnel, tenant, idle) == []


async def test_a_deal_that_lies_ahead_is_not_there_yet(funnel: Served) -> None:
    ahead = hours_now() + 5
    tenant = await told(funnel, said(ahead, "deal.created", known=1), said(0, "deal.created", "e"))
    assert await missing(funnel, tenant, "d")
    assert await missing(funnel, tenant, "d", known_at=z(hours_now()))
    assert ids(await listed(funnel, tenant, every_status())) == ["e"]
    assert not await missing(funnel, tenant, "d", valid_at=z(ahead))
    assert ids(await listed(funnel, tenant, [("valid_at", z(ahead))])) == ["d", "e"]


async def test_a_merged_deal_leaves_a_tombstone(funnel: Served) -> None:
    tenant = await told(
        funnel,
        said(0, "deal.created", "s"),
        said(0, "deal.created", "m", amount="3"),
        said(4, "deal.merged", "s", merged_deal_ids=["m"]),
    )
    tombstone = await funnel.get(tenant, "/v1/deals/m")
    assert (tombstone["status"], tombstone["merged_into"]) == ("merged", "s")
    assert tombstone["amount"] == {"amount": "3.00", "currency": "EUR"}
    assert ids(await listed(funnel, tenant, [])) == ["s"]
    assert await listed(funnel, tenant, [("status", "merged")]) == [tombstone]
    assert ids(await listed(funnel, tenant, [("valid_at", z(3))])) == ["m", "s"]


async def test_deleted_and_restored(funnel: Served) -> None:
    tenant = await told(
        funnel,
        said(0, "deal.created", stage_id="lead"),
        said(2, "deal.deleted"),
        said(4, "deal.restored"),
    )
    during = [("valid_at", z(3))]
    assert await listed(funnel, tenant, during) == []
    assert ids(await listed(funnel, tenant, [*during, ("status", "deleted")])) == ["d"]
    assert (await funnel.get(tenant, "/v1/deals/d", valid_at=z(3)))["status"] == "deleted"
    restored = await funnel.get(tenant, "/v1/deals/d")
    assert (restored["status"], restored["stage_entered_at"]) == ("open", z(0))


async def test_reopened(funnel: Served) -> None:
    tenant = await told(
        funnel,
        said(0, "deal.created", stage_id="lead"),
        said(2, "deal.lost", reason_code="price"),
        said(4, "deal.reopened"),
        said(5, "activity.logged", activity_id="c", kind="call"),
    )
    lost = await funnel.get(tenant, "/v1/deals/d", valid_at=z(3))
    assert (lost["status"], lost["closed_at"], lost["lost_reason"]) == ("lost", z(2), "price")
    now = await funnel.get(tenant, "/v1/deals/d")
    assert (now["status"], now["closed_at"], now["life"], now["stage_id"]) == (
        "open", None, 2, "lead",
    )  # fmt: skip


async def test_ranges_begin_with_days_of_the_tenants_zone(funnel: Served) -> None:
    tenant = await funnel.tenant()
    zone = "UPDATE ingest.tenants SET timezone = 'Asia/Shanghai' WHERE tenant_id = $1"
    await funnel.hand.execute(zone, tenant)
    # the day changes in Shanghai at 16:00Z, seven hours into every story
    for deal, at in (("a", 6.9), ("b", 7), ("c", 30.9), ("d", 31)):
        closed = said(at, "deal.won", deal)
        await funnel.say(tenant, said(at, "deal.created", deal, stage_id="x"), closed)
    await funnel.caught_up(tenant)
    for start in ("created", "closed"):
        for bounds, found in (
            (("2026-03-03", "2026-03-04"), ["b", "c"]),
            (("2026-03-03", None), ["b", "c", "d"]),
            ((None, "2026-03-03"), ["a"]),
            (("2026-03-03T00:00:00+08:00", "2026-03-03T16:00:00Z"), ["b", "c"]),
            (("2026-03-03T00:00:00Z", None), ["c", "d"]),
            ((z(7), z(31)), ["b", "c"]),
        ):
            names = (f"{start}_from", f"{start}_to")
            params = [(n, v) for n, v in zip(names, bounds, strict=True) if v]
            for instants in ([], [("valid_at", z(40))]):
                assert ids(await listed(funnel, tenant, [*params, *instants])) == found, params


async def test_ids_of_others_are_not_there(funnel: Served) -> None:
    tenant, other = await told(funnel, said(0, "deal.created")), await funnel.tenant()
    answer = await funnel.call(other, "GET", "/v1/deals/d")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert await missing(funnel, other, "d", valid_at=z(1))
    assert await listed(funnel, other, []) == await listed(funnel, other, [("valid_at", z(1))])
    assert not await missing(funnel, tenant, "d")


async def test_reading_needs_its_scope(funnel: Served) -> None:
    tenant = await funnel.tenant("events:write")
    for path in ("/v1/deals", "/v1/deals/d", "/v1/deals/d/stages", "/v1/deals/d/timeline",
                 "/v1/accounts", "/v1/leads/x"):  # fmt: skip
        assert (await funnel.call(tenant, "GET", path)).status_code == 403, path


LONG = "x" * 300
REFUSED = (
    "q=%00", "q=", "q=" + LONG, "stage_id=%00", "stage_id=a&stage_id=", "owner_id=" + LONG,
    "status=gone", "status=open&status=no", "pipeline_id=%00",
    "amount_gte=1" + "0" * 400, "amount_gte=1" + "0" * 60, "amount_gte=1e400", "amount_gte=nan",
    "amount_lte=-1", "amount_lte=", "amount_lte=%EF%BC%91",
    "created_from=9999-01-01", "created_from=0000-00-00", "created_to=2026-02-30",
    "closed_from=9999-12-31T23:59:59Z", "closed_to=2026-03-01T00:00:00", "closed_to=%00",
    "idle_gte=PT", "idle_gte=P9999999D", "idle_gte=9999999w", "in_stage_gte=-1d",
    "in_stage_gte=P" + "9" * 100 + "D", "sort=nothing", "sort=", "sort=amount,-amount",
    "sort=amount&sort=name", "sort=name,amount,stage_id,owner_id", "sort=%00",
    "sort=last_event_at&valid_at=2026-03-02T00:00:00Z", "limit=0", "limit=501", "limit=x",
    "limit=" + "9" * 100, "limit=5&limit=6", "unknown=1", "valid_at=9999-01-01T00:00:00Z",
    "valid_at=yesterday", "known_at=1899-12-31T23:59:59Z", "known_at=%00",
    "valid_at=2026-03-02T00:00:00Z&valid_at=2026-03-02T00:00:00Z",
)  # fmt: skip
BAD_CURSORS = ("%00", "x", "a" * 300, "%C3%A9")


async def refused(funnel: Served, tenant: str, path: str) -> tuple[int, Any]:
    answer = await funnel.call(tenant, "GET", path)
    assert answer.headers["content-type"] == "application/problem+json", path
    return answer.status_code, answer.json()


async def test_hostile_questions_are_refused_by_name(funnel: Served) -> None:
    tenant = await told(funnel, said(0, "deal.created"))
    for query in REFUSED:
        status, problem = await refused(funnel, tenant, f"/v1/deals?{query}")
        assert status == 422, (query, problem)
        name = query.partition("=")[0]
        assert {error["parameter"] for error in problem["errors"]} == {name}, (query, problem)


async def test_hostile_cursors_are_refused(funnel: Served) -> None:
    tenant = await told(funnel, said(0, "deal.created"))
    for path in ("/v1/deals", "/v1/deals/d/timeline", "/v1/accounts"):
        for cursor in BAD_CURSORS:
            status, problem = await refused(funnel, tenant, f"{path}?cursor={cursor}")
            assert (status, problem["code"]) == (400, "invalid_cursor"), (path, cursor)
        assert (await refused(funnel, tenant, f"{path}?cursor={'a' * 30_000}"))[0] == 422


async def test_hostile_ids_are_refused(funnel: Served) -> None:
    tenant = await told(funnel, said(0, "deal.created"))
    for tail in ("", "/stages", "/timeline"):
        for hostile, expected in (("%00", 422), (LONG, 422), ("%ED%A0%80", 404), ("%FF", 404)):
            status, problem = await refused(funnel, tenant, f"/v1/deals/{hostile}{tail}")
            assert (status, problem["status"]) == (expected, expected), (hostile, tail)


async def test_bytes_that_are_no_text_are_refused(funnel: Served) -> None:
    """Read with marks of replacement, different questions would be one."""
    tenant = await told(funnel, said(0, "deal.created", stage_id="x"))
    for query in ("stage_id=%ED%A0%80", "q=%FF", "owner_id=%C0%80", "cursor=%FF"):
        status, problem = await refused(funnel, tenant, f"/v1/deals?{query}")
        assert (status, problem["code"]) == (422, "invalid_encoding"), query


async def test_any_id_that_can_be_kept_can_be_read(funnel: Served) -> None:
    odd = ["a b", "ü", "100%", "x" * 200, "a?b", "a#b", "日本"]
    tenant = await told(funnel, *(said(0, "deal.created", name) for name in odd))
    for name in odd:
        shown = await funnel.get(tenant, f"/v1/deals/{quote(name, safe='')}")
        assert shown["deal_id"] == name
    assert sorted(ids(await listed(funnel, tenant, [], limit=2))) == sorted(odd)


async def test_extremes_that_are_allowed_answer(funnel: Served) -> None:
    tenant = await told(funnel, said(0, "deal.created", amount="999999999999999.999999"))
    for query in (
        "created_from=1900-01-01", "created_to=2199-12-31", "idle_gte=P36525D&status=won",
        "valid_at=1900-01-01T00:00:00Z&idle_gte=P36525D", "valid_at=2199-12-31T23:59:59Z",
        "amount_gte=999999999999999.999999", "limit=500", "limit=1",
    ):  # fmt: skip
        answer = await funnel.call(tenant, "GET", f"/v1/deals?{query}")
        assert answer.status_code == 200, answer.text
    (found,) = await listed(funnel, tenant, [("status", s) for s in STATUSES])
    assert money(found) == Decimal("999999999999999.999999")
