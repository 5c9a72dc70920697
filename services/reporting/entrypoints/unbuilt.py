"""Answers for what the interface names and this release does not build: 422, never a guess."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from libs.common.web.auth import Principal, require
from libs.common.web.errors import NotSupportedYet

from services.reporting.domain.unbuilt import UNBUILT

router = APIRouter(tags=["reporting"], include_in_schema=False)


def _answer(scope: str) -> Callable[..., None]:
    def refuse(request: Request, principal: Annotated[Principal, Depends(require(scope))]) -> None:
        raise NotSupportedYet(f"{request.method} {request.url.path} is not built yet")

    return refuse


for _method, _path, _scope in UNBUILT:
    router.add_api_route(_path, _answer(_scope), methods=[_method])
