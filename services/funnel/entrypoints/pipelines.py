"""`/v1/pipelines`: versions that are published, stages that were discovered."""

import math
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from libs.common.web.auth import Principal, require
from libs.common.web.commands import command, documented
from libs.common.web.errors import NotFound, NotSupportedYet
from libs.common.web.etags import check_if_match
from libs.common.web.pages import Limit, Turn
from libs.common.web.slashes import SlashRoute
from services.funnel.adapters import pipelines
from services.funnel.app.pipelines import Pipeline
from services.funnel.entrypoints import models
from services.funnel.entrypoints.answers import json_answer
from services.funnel.entrypoints.models import Pipelines, PipelineVersions, PublishedPipeline
from services.funnel.entrypoints.paths import stored_id
from services.funnel.entrypoints.pipelines_shown import (
    shown_pipeline,
    shown_version,
)
from services.funnel.entrypoints.schemas import PutPipeline
from services.funnel.entrypoints.state import funnel_of

router = APIRouter(tags=["pipelines"], route_class=SlashRoute)
Reader = Annotated[Principal, Depends(require("deals:read"))]
Configurer = Annotated[Principal, Depends(require("config:write"))]


def _pipeline_id(pipeline_id: Annotated[str, Path(min_length=1, max_length=200)]) -> str:
    return stored_id("pipeline_id", pipeline_id)


PipelineId = Annotated[str, Depends(_pipeline_id)]


@router.put(
    "/v1/pipelines/{pipeline_id:path}",
    response_model=PublishedPipeline,
    openapi_extra=documented(PutPipeline),
)
async def put_pipeline(
    request: Request, principal: Configurer, pipeline_id: PipelineId
) -> Response:
    """Publish a version. A change of stages or classes folds the pipeline's deals anew."""
    draft, funnel = (await command(request, PutPipeline)).draft(), funnel_of(request)
    tenant, actor = principal.tenant_id, principal.actor
    async with funnel.database.for_tenant(tenant) as tx:
        await pipelines.hold(tx, tenant)
        found = await pipelines.read(tx, tenant, [pipeline_id])
        held = found.get(pipeline_id) or Pipeline(pipeline_id, (), ())
        check_if_match(request, _etag(held))
        refolding = 0
        if held.current is None or not held.current.says(draft):
            refolding = await pipelines.publish(tx, funnel.clock, tenant, held, draft, actor)
        now = (await pipelines.read(tx, tenant, [pipeline_id]))[pipeline_id]
    shown = shown_pipeline(now) | {"refolding": refolding}
    return _answer(now, shown, 200 if held.current else 201)


@router.get("/v1/pipelines", response_model=Pipelines)
async def list_pipelines(
    request: Request, principal: Reader, limit: Limit = 50, cursor: str | None = None
) -> Response:
    """Every pipeline that was published or named by an event, by id."""
    tenant, turn = principal.tenant_id, Turn.of(request, "pipelines", limit, cursor)
    (after,) = turn.after or [""]
    async with funnel_of(request).database.for_tenant(tenant, snapshot=True) as tx:
        ids = await pipelines.ids_after(tx, tenant, after, turn.fetch)
        found = await pipelines.read(tx, tenant, ids)
    page = turn.page(list(found.values()), lambda one: [one.id], shown_pipeline)
    return json_answer(page)


@router.get("/v1/pipelines/{pipeline_id:path}/versions", response_model=PipelineVersions)
async def list_pipeline_versions(
    request: Request,
    principal: Reader,
    pipeline_id: PipelineId,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Response:
    """Versions with their stages, newest first."""
    turn = Turn.of(request, f"versions of pipeline {pipeline_id}", limit, cursor)
    pipeline = await _found(request, principal, pipeline_id)
    (before,) = turn.after or [math.inf]
    left = [version for version in reversed(pipeline.versions) if version.number < before]
    return json_answer(turn.page(left, lambda version: [version.number], shown_version))


@router.delete("/v1/pipelines/{pipeline_id:path}", include_in_schema=False)
async def delete_pipeline(_: Configurer, pipeline_id: PipelineId) -> None:
    raise NotSupportedYet(f"the pipeline {pipeline_id} cannot be removed yet")


@router.get("/v1/pipelines/{pipeline_id:path}", response_model=models.Pipeline)
async def read_pipeline(request: Request, principal: Reader, pipeline_id: PipelineId) -> Response:
    """The current version, the list of versions, archived and discovered stages."""
    pipeline = await _found(request, principal, pipeline_id)
    return _answer(pipeline, shown_pipeline(pipeline), 200)


async def _found(request: Request, principal: Principal, pipeline_id: str) -> Pipeline:
    tenant = principal.tenant_id
    async with funnel_of(request).database.for_tenant(tenant, snapshot=True) as tx:
        found = await pipelines.read(tx, tenant, [pipeline_id])
    if pipeline_id not in found:
        raise NotFound("no such pipeline")
    return found[pipeline_id]


def _etag(pipeline: Pipeline) -> str | None:
    return None if pipeline.current is None else f'"{pipeline.current.number}"'


def _answer(pipeline: Pipeline, shown: dict[str, Any], status: int) -> Response:
    etag = _etag(pipeline)
    return json_answer(shown, status, {} if etag is None else {"ETag": etag})
