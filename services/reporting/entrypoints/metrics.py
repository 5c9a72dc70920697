"""`/v1/metrics/{name}` and `/v1/funnel/flow`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, cast, get_args

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from libs.common.measures.counted import By, Metric
from libs.common.web.auth import Principal, require
from libs.common.web.errors import NotSupportedYet
from libs.common.web.params import One, choice, length, parsed
from libs.common.web.query import refused
from services.reporting.app.measuring import Asking
from services.reporting.app.metrics import ANSWERS, Stalling, metric_answer
from services.reporting.domain.questions import Common
from services.reporting.entrypoints.query import common
from services.reporting.entrypoints.reading import UNCHANGED, read

router = APIRouter(tags=["reporting"])
Reader = Annotated[Principal, Depends(require("metrics:read"))]
Asked = Annotated[Common, Depends(common)]
PATHS: dict[Metric, tuple[str, str]] = {
    "win_rate": (
        "/v1/metrics/win_rate",
        "Won deals among those closed in the period, with the 95 % interval, and their value.",
    ),
    "sales_cycle": (
        "/v1/metrics/sales_cycle",
        "Days from creation to winning, of the deals won in the period.",
    ),
    "deal_size": ("/v1/metrics/deal_size", "Amounts of the deals won in the period."),
    "loss_reasons": (
        "/v1/metrics/loss_reasons",
        "Why the deals that were lost in the period were lost, as shares.",
    ),
    "flow": ("/v1/funnel/flow", "Moves into and out of each stage in the period."),
}
"""Metrics that take the common parameters and nothing else."""


def _endpoint(metric: Metric, text: str) -> Callable[..., Awaitable[Response]]:
    async def endpoint(request: Request, principal: Reader, asked: Asked) -> Response:
        if metric != "flow" and "stage_id" in asked.group_by:
            raise refused("group_by", "a close is not grouped by stage", "not_applicable")

        async def answer(asking: Asking) -> BaseModel:
            return await metric_answer(asking, asked, metric)

        return await read(request, principal, asked, answer)

    endpoint.__doc__ = text
    return endpoint


for _metric, (_path, _text) in PATHS.items():
    router.add_api_route(
        _path,
        _endpoint(_metric, _text),
        methods=["GET"],
        operation_id=f"metric_{_metric}",
        response_model=ANSWERS[_metric],
        responses=UNCHANGED,
    )


@router.get(
    "/v1/metrics/dwell",
    operation_id="metric_dwell",
    response_model=ANSWERS["dwell"],
    responses=UNCHANGED,
)
async def get_dwell(
    request: Request, principal: Reader, asked: Asked, time: One = None
) -> Response:
    """How long deals stay in the open stages that they entered in the period, and how they leave.

    Means and medians are of finished visits; they are low where many are open.
    """
    if choice("time", time, ("wall", "working"), "wall") != "wall":
        raise NotSupportedYet("working time is not built yet")

    async def answer(asking: Asking) -> BaseModel:
        return await metric_answer(asking, asked, "dwell")

    return await read(request, principal, asked, answer)


@router.get(
    "/v1/metrics/stalled",
    operation_id="metric_stalled",
    response_model=ANSWERS["stalled"],
    responses=UNCHANGED,
)
async def get_stalled(
    request: Request, principal: Reader, asked: Asked, threshold: One = None, by: One = None
) -> Response:
    """Open deals that at `valid_at` have been for more than `threshold` in their stage, idle, or
    there at all."""
    for name, given in {"from": asked.start, "to": asked.end}.items():
        if given is not None:
            raise refused(name, "stalled deals are of one instant: valid_at", "not_applicable")
    if asked.interval != "none":
        raise refused("interval", "stalled deals are of one instant: valid_at", "not_applicable")
    limit = parsed("threshold", "P30D" if threshold is None else threshold, length)
    assert limit is not None  # noqa: S101  # a default is given
    stalling = Stalling(limit, cast(By, choice("by", by, get_args(By), "in_stage")))

    async def answer(asking: Asking) -> BaseModel:
        return await metric_answer(asking, asked, "stalled", stalling)

    return await read(request, principal, asked, answer)
