"""Streams the answer of a process to the client, and ends when either of them does."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx
from starlette.requests import Request
from starlette.types import Send

from libs.common.web.stopping import stopping_of
from services.standalone.gateway.headers import end_to_end

_ENDLESS = "text/event-stream"


async def answer(upstream: httpx.Response, request: Request, send: Send) -> None:
    """Pass on status, headers (the date is told anew) and every piece as it comes. A client that
    leaves, or a gateway that stops amid an answer without an end, ends the exchange."""
    try:
        await _until(_pieces(upstream, send), _over(upstream, request))
    finally:
        await upstream.aclose()


async def _pieces(upstream: httpx.Response, send: Send) -> None:
    headers = [(n, v) for n, v in end_to_end(upstream.headers.raw) if n.lower() != b"date"]
    await send({"type": "http.response.start", "status": upstream.status_code, "headers": headers})
    assert isinstance(upstream.stream, httpx.AsyncByteStream)  # noqa: S101  # by its transport
    async for piece in upstream.stream:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _over(upstream: httpx.Response, request: Request) -> None:
    """Returns when nobody listens any more."""
    left = asyncio.ensure_future(_left(request))
    stopping = asyncio.ensure_future(stopping_of(request.scope).wait())
    endless = upstream.headers.get("content-type", "").startswith(_ENDLESS)
    try:
        waits = {left, stopping} if endless else {left}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        left.cancel()
        stopping.cancel()


async def _left(request: Request) -> None:
    """Until the client is gone. What is still to come of a body that nobody read is passed over."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _until(work: Coroutine[Any, Any, None], over: Coroutine[Any, Any, None]) -> None:
    working, ending = asyncio.ensure_future(work), asyncio.ensure_future(over)
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, ending):
            task.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)
