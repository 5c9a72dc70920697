"""Answers for what the interface names and this release does not build: 422, never a guess."""

from collections.abc import Awaitable, Callable, Iterable

from fastapi import APIRouter, Request, Response

from libs.common.web.auth import require
from libs.common.web.errors import NotSupportedYet


def unbuilt_router(table: Iterable[tuple[str, str, str]]) -> APIRouter:
    """Routes of `(method, path, scope)`; each asks for its scope and then refuses."""
    router = APIRouter(include_in_schema=False)
    for method, path, scope in table:
        # Plain routes: whatever parameters the interface will take, the answer is the same.
        router.add_route(path, _answer(scope), methods=[method], include_in_schema=False)
    return router


def _answer(scope: str) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(request: Request) -> Response:
        await require(scope)(request)
        raise NotSupportedYet(f"{request.method} {request.url.path} is not built yet")

    return refuse
