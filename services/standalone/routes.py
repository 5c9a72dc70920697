"""What the shared port has besides the services' own paths: the front page and the status."""

from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from libs.common.process.status import Examiner
from libs.common.process.status_route import examiner_of, status_service
from libs.common.runtime import Service
from services.standalone.page import POLICY, render

router = APIRouter()


def service(examiner: Examiner) -> Service:
    """These routes as a service of their own, so that they share the port."""
    status = status_service(examiner)
    return replace(status, routers=[*status.routers, router])


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
async def front(request: Request) -> HTMLResponse:
    status = await examiner_of(request).quick()
    return HTMLResponse(render(status), headers={"Content-Security-Policy": POLICY})
