"""Sends a request to a process of the service that answers it, and streams the answer back."""

from collections.abc import AsyncIterator, Sequence

import httpx
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from libs.common.web.errors import AppError, NotFound, Unavailable
from libs.common.web.problems import response
from libs.common.web.unhurried import unhurried
from services.standalone.gateway.answering import answer
from services.standalone.gateway.fleet import Fleet, Process
from services.standalone.gateway.headers import has_body, to_upstream
from services.standalone.gateway.segments import pattern_of, routed, service_of

RETRY_AFTER = 2
_SECONDS = {"connect": 2.0, "read": 120.0, "write": 60.0, "pool": 10.0}
"""`read` is from one piece of an answer to the next: streams have a heartbeat every 15 s."""
_STREAMED = frozenset({"/v1/imports"})
"""Bodies of any size; the process behind keeps watch over them."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_log = structlog.get_logger()


class BadGateway(AppError):
    """The process was reached and gave no answer: what was asked may or may not have been done."""

    status, code, title = 502, "bad_gateway", "Bad gateway"


class GatewayTimeout(AppError):
    status, code, title = 504, "gateway_timeout", "Gateway timeout"


class Route:
    """What metrics name a request by: its segment, never its ids."""

    def __init__(self, path: str) -> None:
        self.path = path


class Forwarder:
    """An ASGI application in front of the fleet's API processes."""

    def __init__(self, fleet: Fleet, transport: httpx.AsyncBaseTransport) -> None:
        self._fleet, self._transport = fleet, transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            upstream = await self._exchange(request)
        except ClientDisconnect:
            return
        except AppError as error:
            await response(request, error)(scope, receive, send)
        else:
            await answer(upstream, request, send)

    async def _exchange(self, request: Request) -> httpx.Response:
        path = routed(request.scope["raw_path"])
        service = None if path is None else service_of(path)
        if path is None or service is None:
            raise NotFound("there is nothing at this path")
        request.scope["route"] = Route(pattern_of(path))
        if path in _STREAMED:
            unhurried(request.scope)
        return await self.ask(request, self._fleet.apis(service))

    async def ask(self, request: Request, processes: Sequence[Process]) -> httpx.Response:
        """The first answer. The next process is asked where nothing was sent to the one before, or
        where asking twice does no harm."""
        lost: httpx.TransportError | None = None
        for process in processes:
            try:
                return await self._transport.handle_async_request(_outgoing(request, process))
            except _NOT_SENT as error:
                process.is_not({"process": f"does not answer: {error}"})
            except httpx.TransportError as error:
                _log.warning("process_gave_no_answer", process=process.name, error=error)
                lost = error
                if request.method not in _SAFE:
                    break
        raise _refusal(lost)


def _outgoing(request: Request, process: Process) -> httpx.Request:
    raw_path, query = request.scope["raw_path"], request.scope["query_string"]
    target = httpx.URL(process.url).copy_with(raw_path=raw_path + (b"?" + query if query else b""))
    sent = request.headers.raw
    client = request.client.host if request.client else ""
    return httpx.Request(
        request.method,
        target,
        headers=list(to_upstream(sent, request.state.request_id, client, request.url.scheme)),
        content=_body(request) if has_body(sent) else None,
        extensions={"timeout": _SECONDS},
    )


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


def _refusal(lost: httpx.TransportError | None) -> AppError:
    again = {"Retry-After": str(RETRY_AFTER)}
    if lost is None:
        return Unavailable("no process of this service answers", retry_after=RETRY_AFTER)
    if isinstance(lost, httpx.TimeoutException):
        return GatewayTimeout("the process did not answer in time", headers=again)
    detail = "the process ended before it answered; what was asked may have been done"
    return BadGateway(detail, headers=again)
