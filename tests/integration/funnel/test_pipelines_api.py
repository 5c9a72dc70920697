"""`/v1/pipelines`: versions, conditions, discovered and archived stages, refolds, refusals."""

import asyncio
from typing import Any

import pytest

from tests.integration.funnel.served import Served
from tests.integration.funnel.write_rig import said, stage

pytestmark = pytest.mark.postgres

STAGES: list[dict[str, Any]] = [
    {"id": "lead", "name": "Lead", "class": "open", "target_conversion": 0.5, "limit": "P30D"},
    {"id": "offer", "class": "open"},
    {"id": "signed", "name": "Signed", "class": "won"},
    {"id": "gone", "name": "Gone", "class": "lost"},
]
BODY: dict[str, Any] = {"name": "Sales", "stages": STAGES}


async def put(funnel: Served, tenant: str, body: Any, *, id_: str = "p", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await funnel.call(tenant, "PUT", f"/v1/pipelines/{id_}", json=body, headers=sent)


def classed(**classes: str) -> list[dict[str, Any]]:
    return [{"id": id_, "class": class_} for id_, class_ in classes.items()]


async def test_the_first_version_is_created_and_read_back(funnel: Served) -> None:
    tenant = await funnel.tenant()
    made = await put(funnel, tenant, BODY)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    read = await funnel.call(tenant, "GET", "/v1/pipelines/p")
    assert read.headers["etag"] == '"1"'
    shown = read.json()
    assert shown["stages"][0] == STAGES[0]
    assert shown["stages"][1] == {
        "id": "offer", "name": "offer", "class": "open", "target_conversion": None, "limit": None,
    }  # fmt: skip
    assert (shown["version"], shown["archived"], shown["discovered"]) == (1, [], [])
    assert made.json() == shown | {"refolding": 0}


async def test_a_replacement_names_the_version_that_it_replaces(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await put(funnel, tenant, BODY)
    renamed = BODY | {"name": "Selling"}
    assert (await put(funnel, tenant, renamed)).status_code == 428
    assert (await put(funnel, tenant, renamed, If_Match='"7"')).status_code == 412
    assert (await put(funnel, tenant, renamed, id_="new", If_Match='"1"')).status_code == 412
    done = await put(funnel, tenant, renamed, If_Match='"1"')
    assert (done.status_code, done.headers["etag"], done.json()["name"]) == (200, '"2"', "Selling")


async def test_the_same_again_makes_no_version(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await put(funnel, tenant, BODY)
    again = await put(funnel, tenant, BODY, If_Match='"1"')
    assert (again.status_code, again.headers["etag"]) == (200, '"1"')


async def test_a_stage_that_is_left_out_stays_as_archived_and_may_come_back(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await put(funnel, tenant, BODY)
    shorter = BODY | {"stages": [STAGES[0], *STAGES[2:]]}
    shown = (await put(funnel, tenant, shorter, If_Match='"1"')).json()
    assert [stage["id"] for stage in shown["archived"]] == ["offer"]
    back = (await put(funnel, tenant, BODY, If_Match='"2"')).json()
    assert back["archived"] == []
    versions = (await funnel.get(tenant, "/v1/pipelines/p/versions"))["items"]
    assert [(v["version"], len(v["stages"])) for v in versions] == [(3, 4), (2, 3), (1, 4)]
    assert all(v["published_by"].startswith("key:") for v in versions)
    first = await funnel.get(tenant, "/v1/pipelines/p/versions", limit=2)
    rest = await funnel.get(tenant, "/v1/pipelines/p/versions", cursor=first["next_cursor"])
    assert [[v["version"] for v in page["items"]] for page in (first, rest)] == [[3, 2], [1]]
    assert (first["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)


async def test_what_events_name_is_discovered_until_it_is_published(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await funnel.say(tenant, said(1, "deal.created", pipeline_id="wild", stage_id="first"),
                     stage(2, "second"), said(3, "deal.won"))  # fmt: skip
    await funnel.caught_up(tenant)
    shown = await funnel.get(tenant, "/v1/pipelines/wild")
    assert (shown["version"], shown["name"], shown["stages"]) == (None, "wild", [])
    assert [(s["id"], s["class"]) for s in shown["discovered"]] == [
        ("first", "open"), ("second", "open"), ("won", "won"),
    ]  # fmt: skip
    body = {"name": "Wild", "stages": classed(first="open", second="open", won="won")}
    made = await put(funnel, tenant, body, id_="wild")
    assert (made.status_code, made.json()["discovered"]) == (201, [])


async def test_a_changed_class_folds_the_deals_anew(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await put(funnel, tenant, {"name": "S", "stages": classed(a="open", b="open", c="won")})
    await funnel.say(tenant, said(1, "deal.created", pipeline_id="p", stage_id="a"), stage(2, "b"))
    await funnel.caught_up(tenant)
    assert await _status(funnel, tenant) == "open"
    changed = {"name": "S", "stages": classed(a="open", b="won", c="won")}
    assert (await put(funnel, tenant, changed, If_Match='"1"')).json()["refolding"] == 1
    await funnel.caught_up(tenant)
    assert await _status(funnel, tenant) == "won"


async def test_a_new_target_folds_nothing(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await put(funnel, tenant, BODY)
    await funnel.say(tenant, said(1, "deal.created", pipeline_id="p", stage_id="lead"))
    await funnel.caught_up(tenant)
    aimed = BODY | {"stages": [{**STAGES[0], "target_conversion": 0.6}, *STAGES[1:]]}
    done = (await put(funnel, tenant, aimed, If_Match='"1"')).json()
    assert (done["version"], done["refolding"]) == (2, 0)
    assert done["stages"][0]["target_conversion"] == 0.6


async def _status(funnel: Served, tenant: str) -> str:
    status: str = await funnel.hand.fetchval(
        "SELECT status FROM funnel.deals WHERE tenant_id = $1 AND deal_id = 'd'", tenant
    )
    return status


async def test_of_two_publishers_of_one_version_one_wins(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await put(funnel, tenant, BODY)
    bodies = [BODY | {"name": f"name {i}"} for i in range(5)]
    done = await asyncio.gather(*(put(funnel, tenant, b, If_Match='"1"') for b in bodies))
    assert sorted(answer.status_code for answer in done) == [200, 412, 412, 412, 412]
    made = await asyncio.gather(*(put(funnel, tenant, b, id_="q") for b in bodies))
    assert sorted(answer.status_code for answer in made) == [201, 428, 428, 428, 428]


async def test_lists_are_paged_by_id(funnel: Served) -> None:
    tenant, other = await funnel.tenant(), await funnel.tenant()
    for id_ in ("c", "a", "b"):
        await put(funnel, tenant, BODY, id_=id_)
    await put(funnel, other, BODY, id_="foreign")
    first = await funnel.get(tenant, "/v1/pipelines", limit=2)
    assert ([p["id"] for p in first["items"]], first["has_more"]) == (["a", "b"], True)
    rest = await funnel.get(tenant, "/v1/pipelines", limit=2, cursor=first["next_cursor"])
    assert ([p["id"] for p in rest["items"]], rest["has_more"]) == (["c"], False)


async def test_a_foreign_pipeline_is_not_there(funnel: Served) -> None:
    tenant, other = await funnel.tenant(), await funnel.tenant()
    await put(funnel, tenant, BODY)
    for path in ("/v1/pipelines/p", "/v1/pipelines/p/versions"):
        assert (await funnel.call(other, "GET", path)).status_code == 404
    assert (await put(funnel, other, BODY)).status_code == 201


async def test_scopes_are_asked_for(funnel: Served) -> None:
    reader = await funnel.tenant("deals:read")
    assert (await put(funnel, reader, BODY)).status_code == 403
    writer = await funnel.tenant("config:write")
    assert (await put(funnel, writer, BODY)).status_code == 201
    assert (await funnel.call(writer, "GET", "/v1/pipelines")).status_code == 403


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"name": "a\x00b"}, ""),
        ({"stages": []}, "/stages"),
        ({"stages": classed(a="won")}, ""),
        ({"stages": classed(a="half")}, "/stages/0/class"),
        ({"stages": [{"id": "a", "stage_class": "open"}]}, "/stages/0/class"),
        ({"stages": [*classed(a="open"), *classed(a="won")]}, ""),
        ({"stages": [{"id": "a", "class": "open", "target_conversion": 1.5}]}, "/stages/0/target"),
        ({"stages": [{"id": "a", "class": "open", "target_conversion": "1"}]}, "/stages/0/target"),
        ({"stages": [{"id": "a", "class": "open", "limit": "soon"}]}, "/stages/0/limit"),
        ({"stages": [{"id": "a", "class": "open", "limit": "P1Y2"}]}, "/stages/0/limit"),
        ({"stages": [{"id": "x" * 201, "class": "open"}]}, "/stages/0/id"),
        ({"stages": classed(**{f"s{i}": "open" for i in range(201)})}, "/stages"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_bad_bodies_are_refused_with_a_pointer(
    funnel: Served, change: dict[str, Any], pointer: str
) -> None:
    tenant = await funnel.tenant()
    answer = await put(funnel, tenant, BODY | change)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0].get("pointer", "").startswith(pointer), answer.text
    assert (await funnel.call(tenant, "GET", "/v1/pipelines/p")).status_code == 404


async def test_bodies_that_are_no_commands_are_refused(funnel: Served) -> None:
    tenant = await funnel.tenant()
    for body, media, status in (
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"name=x", "application/x-www-form-urlencoded", 415),
        (b'{"name": "' + b"x" * 70_000 + b'"}', "application/json", 413),
    ):
        answer = await funnel.call(
            tenant, "PUT", "/v1/pipelines/p", content=body, headers={"Content-Type": media}
        )
        assert (answer.status_code, answer.headers["content-type"]) == (
            status, "application/problem+json",
        )  # fmt: skip


async def test_every_publication_is_audited(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await put(funnel, tenant, BODY)
    await put(funnel, tenant, BODY | {"name": "Selling"}, If_Match='"1"')
    rows = await funnel.hand.fetch(
        """SELECT action, object, before ->> 'name' AS b, after ->> 'name' AS a FROM funnel.audit
        WHERE tenant_id = $1 ORDER BY audit_id""",
        tenant,
    )
    assert [tuple(row) for row in rows] == [
        ("pipeline.published", "p", None, "Sales"),
        ("pipeline.published", "p", "Sales", "Selling"),
    ]


async def test_a_pipeline_cannot_be_removed_yet(funnel: Served) -> None:
    answer = await funnel.call(await funnel.tenant(), "DELETE", "/v1/pipelines/p/q")
    assert (answer.status_code, answer.json()["code"]) == (422, "not_supported_yet")
