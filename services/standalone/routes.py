"""What the shared port has besides the services' own paths: the front page and the status."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from libs.common.runtime import Service
from libs.common.web.auth import Principal, require_operator
from services.standalone.page import POLICY, render
from services.standalone.status import Examiner

NAME = "standalone"
router = APIRouter()
Operator = Annotated[Principal, Depends(require_operator())]


def service(examiner: Examiner) -> Service:
    """These routes as a service of their own, so that they share the port."""
    return Service(name=NAME, state=examiner, routers=[router], stop=examiner.database.close)


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
async def front(request: Request) -> HTMLResponse:
    status = await _examiner(request).quick()
    return HTMLResponse(render(status), headers={"Content-Security-Policy": POLICY})


@router.get("/v1/status")
async def read_status(request: Request, operator: Operator) -> dict[str, Any]:
    """What is reachable, migrated and lagging; an empty list says that nothing is wrong."""
    return asdict(await _examiner(request).full())


def _examiner(request: Request) -> Examiner:
    examiner: Examiner = getattr(request.app.state, NAME)
    return examiner
