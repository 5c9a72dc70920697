"""`GET /v1/status`: every API process tells of its services, for operators."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from libs.common.process.status import Examiner
from libs.common.runtime import Service
from libs.common.web.auth import Principal, require_operator

NAME = "status"
router = APIRouter()
Operator = Annotated[Principal, Depends(require_operator())]


def status_service(examiner: Examiner) -> Service:
    """The route as a service of its own, beside those that it tells of."""
    return Service(name=NAME, state=examiner, routers=[router])


@router.get("/v1/status")
async def read_status(request: Request, operator: Operator) -> dict[str, Any]:
    """What is reachable, migrated and lagging; an empty list says that nothing is wrong."""
    return asdict(await examiner_of(request).full())


def examiner_of(request: Request) -> Examiner:
    examiner: Examiner = getattr(request.app.state, NAME)
    return examiner
