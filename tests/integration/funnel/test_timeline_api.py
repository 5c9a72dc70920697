"""`/v1/deals/{id}/timeline`: every event once, what it changed, newest first, in steady pages."""

from typing import Any

import pytest

from tests.integration.funnel.read_rig import hours_now, listed, z
from tests.integration.funnel.served import Served
from tests.integration.funnel.write_rig import Said, said, stage

pytestmark = pytest.mark.postgres
PATH = "/v1/deals/d/timeline"


async def told(funnel: Served, *events: Said) -> str:
    tenant = await funnel.tenant()
    await funnel.say(tenant, *events)
    await funnel.caught_up(tenant)
    return tenant


def changes(items: list[Any], event_id: str) -> dict[str, tuple[Any, Any]]:
    """By field, what one event changed from and to."""
    return {
        item["field"]: (item["from"], item["to"])
        for item in items
        if item["kind"] == "change" and item["event_id"] == event_id
    }


def sayings(items: list[Any]) -> list[str]:
    return [item["event_id"] for item in items if item["kind"] != "change"]


STORY = (
    said(0, "deal.created", stage_id="lead", amount="5", actor_id="u-1", id="e-new"),
    stage(1, "offer", actor_id="u-2", id="e-move"),
    said(2, "activity.logged", activity_id="c", kind="call", actor_id="u-3", id="e-call"),
    said(3, "deal.updated", changes={"amount": "7.5", "attributes.seats": 9}, id="e-change"),
    said(4, "deal.updated", changes={"attributes.seats": None, "name": "Nine"}, id="e-again"),
)


async def test_every_event_is_told_once_newest_first(funnel: Served) -> None:
    tenant = await told(funnel, *STORY)
    items = await listed(funnel, tenant, [], PATH)
    assert sayings(items) == ["e-again", "e-change", "e-call", "e-move", "e-new"]
    assert [item["at"] for item in items] == sorted((i["at"] for i in items), reverse=True)
    kinds = {item["event_id"]: item["kind"] for item in items if item["kind"] != "change"}
    assert kinds.pop("e-call") == "activity"
    assert set(kinds.values()) == {"event"}


async def test_a_saying_is_shown_as_it_was_said(funnel: Served) -> None:
    tenant = await told(funnel, *STORY)
    (call,) = [i for i in await listed(funnel, tenant, [], PATH) if i["kind"] == "activity"]
    assert call == {
        "kind": "activity", "at": z(2), "recorded_at": z(2), "event_id": "e-call",
        "source": "/crm", "type": "activity.logged", "actor_id": "u-3",
        "data": {"deal_id": "d", "activity_id": "c", "kind": "call", "actor_id": "u-3"},
    }  # fmt: skip


async def test_a_change_names_its_field_its_values_who_and_by_which_event(funnel: Served) -> None:
    tenant = await told(funnel, *STORY)
    items = await listed(funnel, tenant, [], PATH)
    (moved,) = [i for i in items if i.get("field") == "stage_id" and i["event_id"] == "e-move"]
    assert moved == {
        "kind": "change", "at": z(1), "recorded_at": z(1), "event_id": "e-move",
        "source": "/crm", "type": "deal.stage_changed", "actor_id": "u-2", "deal_id": "d",
        "field": "stage_id", "from": "lead", "to": "offer",
    }  # fmt: skip
    assert changes(items, "e-call") == {}


async def test_what_the_source_claims_of_before_stands_beside_our_own(funnel: Served) -> None:
    wrong = stage(5, "demo", from_stage_id="lead", id="e-wrong")
    claimed = {"amount": "7.5", "name": "Nine"}
    right = said(6, "deal.updated", changes={"amount": "8"}, previous=claimed, id="e-right")
    tenant = await told(funnel, *STORY, wrong, right)
    shown = {i["event_id"]: i for i in await listed(funnel, tenant, [], PATH) if "data" in i}
    assert shown["e-wrong"]["old_value_mismatch"] is True
    assert shown["e-wrong"]["old_values"] == [
        {"field": "stage_id", "claimed": "lead", "ours": "offer", "mismatch": True}
    ]
    assert shown["e-right"]["old_value_mismatch"] is False
    assert shown["e-right"]["old_values"] == [
        {"field": "amount", "claimed": "7.50", "ours": "7.50", "mismatch": False},
        {"field": "name", "claimed": "Nine", "ours": "Nine", "mismatch": False},
    ]
    assert "old_values" not in shown["e-move"], "nothing is claimed"


async def test_attributes_change_one_by_one(funnel: Served) -> None:
    tenant = await told(funnel, *STORY)
    items = await listed(funnel, tenant, [], PATH)
    assert changes(items, "e-change") == {
        "amount": ("5.00", "7.50"), "attributes.seats": (None, 9),
    }  # fmt: skip
    assert changes(items, "e-again") == {"attributes.seats": (9, None), "name": (None, "Nine")}


async def test_pages_of_every_length_make_the_same_timeline(funnel: Served) -> None:
    tenant = await told(funnel, *STORY)
    whole = await listed(funnel, tenant, [], PATH)
    for limit in range(1, len(whole) + 2):
        assert await listed(funnel, tenant, [], PATH, limit) == whole, limit


async def test_pages_keep_what_the_first_one_knew(funnel: Served) -> None:
    """What is recorded after the first page does not move the others, wherever it belongs."""
    tenant = await told(funnel, *STORY)
    whole = await listed(funnel, tenant, [], PATH)
    first = await funnel.get(tenant, PATH, limit=3)
    soon = hours_now() + 0.002
    await funnel.say(tenant, stage(0.5, "late", known=soon, id="e-late"), said(9, "deal.won"))
    await funnel.caught_up(tenant)
    rest = await funnel.get(tenant, PATH, limit=500, cursor=first["next_cursor"])
    assert first["items"] + rest["items"] == whole
    assert "e-late" in sayings(await listed(funnel, tenant, [], PATH)), "a new first page has it"


async def test_what_was_recorded_before_but_came_late_doubles_nothing(funnel: Served) -> None:
    tenant = await told(funnel, *STORY)
    whole = await listed(funnel, tenant, [], PATH)
    first = await funnel.get(tenant, PATH, limit=3)
    await funnel.say(tenant, said(8, "deal.won", id="e-won"), stage(3.5, "demo", id="e-demo"))
    await funnel.caught_up(tenant)
    rest = await funnel.get(tenant, PATH, limit=500, cursor=first["next_cursor"])
    shown = sayings(first["items"] + rest["items"])
    assert len(shown) == len(set(shown))
    assert set(sayings(whole)) <= set(shown)


async def test_a_survivor_has_the_union_and_the_merged_deal_its_own(funnel: Served) -> None:
    tenant = await told(
        funnel,
        said(0, "deal.created", "s", id="s-new"),
        said(1, "deal.created", "m", amount="3", id="m-new"),
        said(2, "activity.logged", "m", activity_id="c", id="m-call"),
        said(4, "deal.merged", "s", merged_deal_ids=["m"], id="merge"),
        said(6, "deal.won", "m", id="m-won"),
        said(3, "deal.created", "other", id="o-new"),
    )
    union = await listed(funnel, tenant, [], "/v1/deals/s/timeline")
    assert sayings(union) == ["m-won", "merge", "m-call", "m-new", "s-new"]
    won = [i for i in union if i["event_id"] == "m-won" and i["kind"] == "change"]
    assert {item["deal_id"] for item in won} == {"s"}
    ended = {i["deal_id"]: (i["from"], i["to"]) for i in union if i.get("field") == "merged_into"}
    assert ended == {"m": (None, "s")}
    own = await listed(funnel, tenant, [], "/v1/deals/m/timeline")
    assert sayings(own) == ["merge", "m-call", "m-new"]
    earlier = await listed(funnel, tenant, [("valid_at", z(3))], "/v1/deals/s/timeline")
    assert sayings(earlier) == ["s-new"], "before the merge each deal stands by itself"


async def test_a_change_of_the_account_shows(funnel: Served) -> None:
    tenant = await told(
        funnel,
        said(-1, "account.upserted", "a", region="north", id="a-1"),
        said(0, "deal.created", account_id="a", id="e-new"),
        said(1, "account.upserted", "a", region="south", id="a-2"),
        said(2, "account.upserted", "a", name="A", id="a-3"),
        said(3, "account.upserted", "b", region="west", id="b-1"),
    )
    items = await listed(funnel, tenant, [], PATH)
    assert sayings(items) == ["a-2", "e-new"], "what changes nothing of the deal is left out"
    assert changes(items, "a-2") == {"region": ("north", "south")}
    assert changes(items, "e-new")["region"] == (None, "north")


async def test_as_of_two_instants(funnel: Served) -> None:
    late = stage(1.5, "demo", known=9, id="e-late")
    tenant = await told(funnel, *STORY, late)
    for valid, known, seen in (
        (2, 8, ["e-call", "e-move", "e-new"]),
        (2, 9, ["e-call", "e-late", "e-move", "e-new"]),
        (1, 9, ["e-move", "e-new"]),
    ):
        params = [("valid_at", z(valid)), ("known_at", z(known))]
        assert sayings(await listed(funnel, tenant, params, PATH, 2)) == seen, (valid, known)


async def test_what_is_not_there_is_404(funnel: Served) -> None:
    tenant, other = await told(funnel, *STORY), await funnel.tenant()
    for who, path, params in (
        (tenant, "/v1/deals/none/timeline", {}),
        (other, PATH, {}),
        (tenant, PATH, {"valid_at": z(-1)}),
        (tenant, PATH, {"known_at": z(-1)}),
    ):
        answer = await funnel.call(who, "GET", path, params=params)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (path, params)


async def test_a_cursor_belongs_to_its_deal_and_instants(funnel: Served) -> None:
    tenant = await told(funnel, *STORY, said(0, "deal.created", "e"))
    cursor = (await funnel.get(tenant, PATH, limit=2))["next_cursor"]
    for path, params in (("/v1/deals/e/timeline", {}), (PATH, {"valid_at": z(3)})):
        answer = await funnel.call(tenant, "GET", path, params={**params, "cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), path
