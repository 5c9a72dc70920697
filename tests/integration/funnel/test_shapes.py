"""Answers keep to the shapes that the interface's description promises."""

import pytest
from pydantic import BaseModel

from services.funnel.entrypoints import models
from tests.integration.funnel.served import Served
from tests.integration.funnel.write_rig import said, stage

pytestmark = pytest.mark.postgres

PIPELINE = {"name": "P", "stages": [{"id": "a", "class": "open"}, {"id": "w", "class": "won"}]}
SHAPES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("/v1/deals", models.Deals),
    ("/v1/deals/d", models.Deal),
    ("/v1/deals/d/stages", models.StageVisits),
    ("/v1/deals/d/timeline", models.Timeline),
    ("/v1/accounts", models.Entities),
    ("/v1/accounts/x", models.Entity),
    ("/v1/users", models.Entities),
    ("/v1/teams", models.Entities),
    ("/v1/leads", models.Entities),
    ("/v1/pipelines", models.Pipelines),
    ("/v1/pipelines/p", models.Pipeline),
    ("/v1/pipelines/p/versions", models.PipelineVersions),
    ("/v1/projection", models.Projection),
)


async def test_every_answer_has_its_shape(funnel: Served) -> None:
    tenant = await funnel.tenant()
    put = await funnel.call(tenant, "PUT", "/v1/pipelines/p", json=PIPELINE)
    models.PublishedPipeline.model_validate(put.json())
    await funnel.say(
        tenant,
        said(0, "account.upserted", "x", name="X", region="north"),
        said(1, "deal.created", pipeline_id="p", stage_id="a", account_id="x", amount="7.5"),
        said(2, "activity.logged", activity_id="c", kind="call"),
        stage(3, "wild", from_stage_id="b"),
        said(4, "deal.won"),
    )
    await funnel.caught_up(tenant)
    for path, shape in SHAPES:
        answer = await funnel.get(tenant, path)
        assert shape.model_validate(answer), path
        held = shape.model_validate(answer).model_dump(mode="json", by_alias=True)
        assert answer.keys() == held.keys(), path
    made = await funnel.call(tenant, "POST", "/v1/projection/rebuilds", json={})
    models.Rebuild.model_validate(made.json())


async def test_the_description_names_every_shape(funnel: Served) -> None:
    described = (await funnel.get(await funnel.tenant(), "/openapi/funnel.json"))["paths"]
    bare = [
        path
        for path, methods in described.items()
        for operation in methods.values()
        if not operation["responses"].get("200", operation["responses"].get("202", {}))
        .get("content", {}).get("application/json", {}).get("schema")
    ]  # fmt: skip
    assert bare == []
