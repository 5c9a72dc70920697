"""Answers for what the interface names and this release does not build: 422, never a guess."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from libs.common.web.auth import principal_of, require
from libs.common.web.errors import NotSupportedYet
from services.reporting.domain.unbuilt import UNBUILT

router = APIRouter(include_in_schema=False)


def _answer(scope: str) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(request: Request) -> Response:
        require(scope)(await principal_of(request, None))
        raise NotSupportedYet(f"{request.method} {request.url.path} is not built yet")

    return refuse


for _method, _path, _scope in UNBUILT:
    # Plain routes: whatever parameters the interface will take, the answer is the same.
    router.add_route(_path, _answer(_scope), methods=[_method], include_in_schema=False)
