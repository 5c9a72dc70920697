"""What pages, names and ids of deals may hold."""

from urllib.parse import quote

import pytest

from tests.integration.funnel.served import Served
from tests.integration.funnel.write_rig import said

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("name", ["表" * 2_000, "\x01" * 2_000, "a" * 2_000])
async def test_a_page_may_end_with_the_longest_name(funnel: Served, name: str) -> None:
    tenant = await funnel.tenant()
    await funnel.say(tenant, *(said(0, "deal.created", d, name=name) for d in ("a", "b")))
    await funnel.caught_up(tenant)
    first = await funnel.get(tenant, "/v1/deals", sort="name", limit=1)
    rest = await funnel.get(tenant, "/v1/deals", sort="name", cursor=first["next_cursor"])
    assert [item["deal_id"] for item in rest["items"]] == ["b"]


@pytest.mark.parametrize("part", ["öfen", "ÖFEN", "пресс", "ПРЕСС"])
async def test_case_is_no_matter_beyond_ascii(funnel: Served, part: str) -> None:
    tenant = await funnel.tenant()
    await funnel.say(tenant, said(0, "deal.created", "d", name="Öfen Пресс"))
    await funnel.caught_up(tenant)
    assert len((await funnel.get(tenant, "/v1/deals", q=part))["items"]) == 1


async def test_one_that_turns_true_is_a_change(funnel: Served) -> None:
    tenant = await funnel.tenant()
    turned = {"attributes.x": True, "attributes.y": {"z": True}}
    await funnel.say(
        tenant,
        said(0, "deal.created", "d", attributes={"x": 1, "y": {"z": 1}}),
        said(1, "deal.updated", "d", changes=turned),
    )
    await funnel.caught_up(tenant)
    items = (await funnel.get(tenant, "/v1/deals/d/timeline"))["items"]
    changed = {
        i["field"]: i["to"] for i in items if i["kind"] == "change" and i["at"][11:13] == "10"
    }
    assert changed == turned
    assert all(type(changed[k]) is type(v) for k, v in turned.items())


async def test_a_merge_learned_late_between_pages_is_no_error(funnel: Served) -> None:
    """It sends the older items elsewhere, so that the next page has none."""
    tenant, path = await funnel.tenant(), "/v1/deals/s/timeline"
    merge = said(5, "deal.merged", "s", merged_deal_ids=["m"])
    named = said(6, "deal.updated", "s", changes={"name": "S"})
    await funnel.say(tenant, said(0, "deal.created", "m"), merge, named)
    await funnel.caught_up(tenant)
    whole = (await funnel.get(tenant, path))["items"]
    newest = sum(item["event_id"] in (merge.id, named.id) for item in whole)
    first = await funnel.get(tenant, path, limit=newest)
    await funnel.say(tenant, said(3, "deal.merged", "x", merged_deal_ids=["m"]))
    await funnel.caught_up(tenant)
    rest = await funnel.get(tenant, path, limit=newest, cursor=first["next_cursor"])
    assert rest == {"items": [], "next_cursor": None, "has_more": False}


@pytest.mark.parametrize("deal_id", ["a/b", "a b", "ü", "a?b#c", "x" * 200])
async def test_every_id_that_is_taken_can_be_read(funnel: Served, deal_id: str) -> None:
    tenant, spelled = await funnel.tenant(), quote(deal_id, safe="")
    await funnel.say(tenant, said(0, "deal.created", deal_id), said(0, "account.upserted", deal_id))
    await funnel.caught_up(tenant)
    for path in (f"deals/{spelled}", f"deals/{spelled}/stages", f"deals/{spelled}/timeline",
                 f"accounts/{spelled}"):  # fmt: skip
        assert (await funnel.call(tenant, "GET", f"/v1/{path}")).status_code == 200, path


@pytest.mark.parametrize("deal_id", ["stages", "a/stages", "a/timeline", "/", "a/stages/timeline"])
async def test_an_encoded_slash_belongs_to_the_id(funnel: Served, deal_id: str) -> None:
    tenant, path = await funnel.tenant(), f"/v1/deals/{quote(deal_id, safe='')}"
    told = said(0, "deal.created", deal_id, stage_id="one"), said(1, "deal.created", "a")
    await funnel.say(tenant, *told)
    await funnel.caught_up(tenant)
    assert (await funnel.get(tenant, path))["deal_id"] == deal_id
    assert len((await funnel.get(tenant, f"{path}/stages"))["visits"]) == 1
    items = (await funnel.get(tenant, f"{path}/timeline"))["items"]
    assert {item["event_id"] for item in items} == {told[0].id}


async def test_a_pipeline_may_be_called_like_a_part_of_its_path(funnel: Served) -> None:
    tenant, path = await funnel.tenant(), "/v1/pipelines/b2b%2Fversions"
    body = {"name": "B2B", "stages": [{"id": "a", "name": "A", "class": "open"}]}
    assert (await funnel.call(tenant, "PUT", path, json=body)).status_code == 201
    assert (await funnel.get(tenant, path))["id"] == "b2b/versions"
    assert len((await funnel.get(tenant, f"{path}/versions"))["items"]) == 1
