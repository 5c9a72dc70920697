"""What answers on a process's port: from before it is ready until it has ended."""

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common.web import problems
from libs.common.web.errors import Unavailable

READINESS = ("/readyz", "/startupz")
RETRY_AFTER = 2


class Front:
    """The application once it is open; before that it is alive, not ready, and says why.

    While it drains it still answers, but is not ready and asks clients to connect elsewhere.
    """

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._why = "is starting"
        self._draining = False

    def waits(self, why: str) -> None:
        """What the start waits for."""
        if self._draining:
            return
        self._why = f"is starting and waits: {why}"

    def open(self, app: ASGIApp) -> None:
        """From now on `app` answers."""
        self._app = app

    def drain(self) -> None:
        """The process is about to stop."""
        self._draining, self._why = True, "is stopping"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("only HTTP is served here")
        told_last = _closing(send) if self._draining else send
        app = self._app or self._early
        if self._draining and scope["path"] == READINESS[0]:
            app = self._early
        await app(scope, receive, told_last)

    async def _early(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(Request(scope))
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if path == "/livez":
            return JSONResponse({"status": "ok"})
        if path == "/metrics":
            text = await asyncio.to_thread(generate_latest)
            return Response(text, media_type=CONTENT_TYPE_LATEST)
        if path in READINESS:
            status = "draining" if self._draining else "starting"
            return JSONResponse({"status": status, "checks": {"process": self._why}}, 503)
        refusal = Unavailable(f"this process {self._why}", retry_after=RETRY_AFTER, code="starting")
        return problems.response(request, refusal)


def _closing(send: Send) -> Send:
    """Every answer is the last one on its connection."""

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        await send(message)

    return told
