"""HTTP/1.1 as uvicorn speaks it, with limits on what one connection may cost.

uvicorn waits for a request's bytes without end, keeps headers and trailers without end, and queues
what is sent before the answer to it was asked for.
"""

import asyncio
from typing import Any

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from libs.common import metrics
from libs.common.web.door import Door
from libs.common.web.errors import AppError
from libs.common.web.refusals import CROWDED, EXCESS, MALFORMED, OVERDUE, on_the_wire
from libs.common.web.unhurried import KEY

_LINGER = 2.0
"""Seconds."""


class _Refused(Exception):
    """Leaves the parser, which reports it as its own failure."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection. Requests are taken one at a time: who sends more before the answer gets that
    answer, and the connection ends, so bytes smuggled behind a request are never one themselves."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        door: Door,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._door, self._bounds = door, door.bounds
        self._inside: str | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._why: AppError = MALFORMED
        self._bare = 0
        """Bytes since the last one of a body, or since a request's end."""
        self._in_head = self._receiving = self._lifted = self._deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        if self._door.enter(address):
            self._inside = address
            self._hurry()
        else:
            self._refuse(CROWDED)

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        if self._inside is not None:
            self._door.leave(self._inside)
            self._inside = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        if not (self._answering() or self._lifted):
            self._hurry()
        self._bare += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # it is a plain request as well, and answered as such
        except httptools.HttpParserError:
            self._refuse(self._why)
        if self._bare > self._bounds.head_bytes and not self._deaf:
            self._refuse(EXCESS)

    def on_message_begin(self) -> None:
        self._deaf |= self._answering()
        if self._deaf:
            return
        super().on_message_begin()
        self._in_head = self._receiving = True
        self.scope[KEY] = self._lift  # type: ignore[literal-required]

    def on_url(self, url: bytes) -> None:
        if not self._deaf:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head and not self._deaf:  # trailers are no headers
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._deaf:
            return
        if (refusal := self._unacceptable()) is not None:
            self._why = refusal
            raise _Refused
        super().on_headers_complete()
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        if not self._deaf:
            self._bare = 0
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._deaf:
            return
        super().on_message_complete()
        self._receiving, self._lifted, self._bare = False, False, 0
        self._calm()
        if self.cycle.response_complete:
            self._rest()

    def on_response_complete(self) -> None:
        """What is still to come of an answered request is passed over, but not for long."""
        super().on_response_complete()
        if self._deaf:
            self._part(politely=True)
        elif self._receiving:
            self._unset_keepalive_if_required()
            self._hurry()

    def _answering(self) -> bool:
        """A request has come whole and its answer is under way."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and not self._receiving

    def _unacceptable(self) -> AppError | None:
        bounds, size = self._bounds, len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
                return MALFORMED
        if size > bounds.head_bytes or len(self.headers) > bounds.headers:
            return EXCESS
        return None if self.parser.get_http_version() in ("1.0", "1.1") else MALFORMED

    def _hurry(self) -> None:
        """Let the time of receipt run, unless it does."""
        if self._alarm is None:
            self._alarm = self.loop.call_later(self._bounds.receive_seconds, self._overdue)

    def _lift(self) -> None:
        self._lifted = True
        self._calm()

    def _calm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _rest(self) -> None:
        """Wait for the next request, as uvicorn does."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _overdue(self) -> None:
        self._alarm = None
        answered = self._receiving and not self._in_head and self.cycle.response_complete
        if (self._receiving or self._bare) and not answered:
            self._refuse(OVERDUE)
        else:
            self.transport.close()

    def _refuse(self, error: AppError) -> None:
        """Hear no more. A request that is being answered is answered still."""
        metrics.HTTP_REFUSED.labels(error.code).inc()
        self._calm()
        self._deaf = True
        if self._answering():
            return
        cycle = self.cycle if self._receiving and not self._in_head else None
        if cycle is None or not cycle.response_started:
            self.transport.write(on_the_wire(error))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self._part(self._inside is not None)

    def _part(self, politely: bool) -> None:
        """Who still sends would lose the answer by an immediate end: pass over it for a while."""
        if politely and not self.transport.is_closing() and self.transport.can_write_eof():
            self.transport.write_eof()
            self._alarm = self.loop.call_later(_LINGER, self.transport.close)
        else:
            self.transport.close()
