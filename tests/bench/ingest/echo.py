"""A server that does nothing: it reads a request and says 202. What a client reaches against it
is the client's own limit. `python -m tests.bench.ingest.echo` prints its port."""

import asyncio
import sys
from typing import cast

import uvloop

from tests.bench.ingest.answering import Inbox

_ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._inbox = cast(asyncio.Transport, transport), Inbox()

    def data_received(self, data: bytes) -> None:
        self._inbox.feed(data)
        while self._inbox.take():
            self._transport.write(_ANSWER)


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main())
