"""Routes of the measures."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from libs.common.web.auth import Principal, require
from libs.common.web.query import refused
from services.reporting.app.measuring import (
    Asking,
    ConversionAnswer,
    SnapshotAnswer,
    conversion_answer,
    snapshot_answer,
)
from services.reporting.domain.questions import Cohort, Common
from services.reporting.entrypoints.definitions import router as definitions_router
from services.reporting.entrypoints.drill import router as drill_router
from services.reporting.entrypoints.metrics import router as metrics_router
from services.reporting.entrypoints.query import cohort, common
from services.reporting.entrypoints.reading import UNCHANGED, read
from services.reporting.entrypoints.stream import router as stream_router
from services.reporting.entrypoints.unbuilt import router as unbuilt_router

Reader = Annotated[Principal, Depends(require("metrics:read"))]
funnel = APIRouter(prefix="/v1/funnel", tags=["reporting"])


@funnel.get(
    "/conversion",
    operation_id="funnel_conversion",
    response_model=ConversionAnswer,
    responses=UNCHANGED,
)
async def get_conversion(
    request: Request,
    principal: Reader,
    asked: Annotated[Common, Depends(common)],
    asked_cohort: Annotated[Cohort, Depends(cohort)],
) -> Response:
    """How far the deals of a cohort came, and what became of them.

    The cohort are the deals whose first entry into `first_stage` lies in the period.
    """
    if "stage_id" in asked.group_by:
        raise refused("group_by", "a cohort is not grouped by stage", "not_applicable")

    async def answer(asking: Asking) -> BaseModel:
        return await conversion_answer(asking, asked, asked_cohort)

    return await read(request, principal, asked, answer)


@funnel.get(
    "/snapshot",
    operation_id="funnel_snapshot",
    response_model=SnapshotAnswer,
    responses=UNCHANGED,
)
async def get_snapshot(
    request: Request, principal: Reader, asked: Annotated[Common, Depends(common)]
) -> Response:
    """Which deals are in which stage at `valid_at`. It is a stock, not a conversion."""
    given = {"from": asked.start, "to": asked.end}
    for name in [name for name, value in given.items() if value is not None]:
        raise refused(name, "a snapshot is of one instant: valid_at", "not_applicable")
    if asked.interval != "none":
        raise refused("interval", "a snapshot is of one instant: valid_at", "not_applicable")

    async def answer(asking: Asking) -> BaseModel:
        return await snapshot_answer(asking, asked)

    return await read(request, principal, asked, answer)


routers = (funnel, metrics_router, drill_router, definitions_router, stream_router, unbuilt_router)
