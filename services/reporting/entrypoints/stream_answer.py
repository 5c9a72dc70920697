"""Sends a stream until its client, its server or itself ends it."""

import asyncio
from contextlib import AsyncExitStack

import structlog
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from libs.common.web.stopping import stopping_of
from services.reporting.app.stream_connection import Stream

TAKEN_WITHIN = 30.0
"""Seconds that a client may take no byte; then the connection is given up."""
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_log = structlog.get_logger()


class EventStream(StreamingResponse):
    """Sends a stream, and leaves it whatever ends the sending."""

    media_type = "text/event-stream"

    def __init__(self, stream: Stream, opened: AsyncExitStack) -> None:
        self._chunks = stream.chunks()
        super().__init__(self._chunks, headers=HEADERS)
        self._stream, self._opened = stream, opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        closing = asyncio.create_task(self._close_with(stopping_of(scope)))
        try:
            await super().__call__(scope, receive, _in_time(send))
        except TimeoutError:
            _log.info("stream_given_up", seconds=TAKEN_WITHIN)
        finally:
            closing.cancel()
            await self._chunks.aclose()
            await self._opened.aclose()

    async def _close_with(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._stream.inbox.close()


def _in_time(send: Send) -> Send:
    async def sent(message: Message) -> None:
        async with asyncio.timeout(TAKEN_WITHIN):
            await send(message)

    return sent
