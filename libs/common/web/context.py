"""The outermost layer of every request: identity, trace, time and count.

A plain ASGI layer: it costs little, and an error inside a stream passes through unharmed.
"""

import logging
import re
from time import perf_counter
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.ids import uuid7
from libs.common.web import problems, quota_headers
from libs.common.web.bodies import Bodies

_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}", re.ASCII)
log = structlog.get_logger()
_level = logging.getLogger(__name__)


class RequestContext:
    """Takes `X-Request-Id` and `traceparent` in, gives them out, and measures."""

    def __init__(self, app: ASGIApp, clock: Clock, bodies: Bodies | None = None) -> None:
        self._app, self._clock, self._bodies = app, clock, bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id, trace_id = self._ids(headers)
        scope.setdefault("state", {}).update(request_id=request_id, trace_id=trace_id)
        structlog.contextvars.bind_contextvars(request_id=request_id, trace_id=trace_id)
        measured = _Measured(scope, send, request_id, headers.get("traceparent"))
        holding = self._bodies.of(scope) if self._bodies is not None else None
        started = perf_counter()
        try:
            with metrics.HTTP_IN_FLIGHT.track_inprogress():
                await self._app(scope, receive, measured.send)
        except Exception as error:
            if measured.started:
                raise
            answer = await problems.unexpected(Request(scope), error)
            await answer(scope, receive, measured.send)
        finally:
            if holding is not None:
                holding.release()
            _observe(scope, measured.status, perf_counter() - started)
            structlog.contextvars.unbind_contextvars("request_id", "trace_id")

    def _ids(self, headers: Headers) -> tuple[str, str]:
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid7(self._clock))
        trace = _TRACE.fullmatch(headers.get("traceparent", ""))
        return request_id, trace[1] if trace else uuid7(self._clock).hex


class _Measured:
    """Adds the headers of identity and of limits to the answer and remembers its status."""

    def __init__(self, scope: Scope, send: Send, request_id: str, traceparent: str | None) -> None:
        self._scope = scope
        self._send, self._request_id, self._traceparent = send, request_id, traceparent
        self.status = 500
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.started = message["status"], True
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            headers["X-Content-Type-Options"] = "nosniff"
            if self._traceparent and _TRACE.fullmatch(self._traceparent):
                headers["traceparent"] = self._traceparent
            for name, value in quota_headers.told(self._scope):
                headers.append(name, value)
        await self._send(message)


def _observe(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    labels: dict[str, Any] = {"method": method, "route": route_template(scope)}
    metrics.HTTP_SECONDS.labels(**labels, status=f"{status // 100}xx").observe(seconds)
    if _level.isEnabledFor(logging.DEBUG):  # a line that is dropped late costs 15 us
        log.debug(
            "http_request",
            method=method,
            route=labels["route"],
            status=status,
            seconds=round(seconds, 6),
        )


def route_template(scope: Scope) -> str:
    """The route's pattern, never its values: metrics must not grow with ids."""
    route = scope.get("route")
    return getattr(route, "path", "unmatched")
