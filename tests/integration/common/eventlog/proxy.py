"""Between a pool and PostgreSQL: can drop the answer to a COMMIT, as a failing network does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import URL, make_url

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """`cut_commits(n)`: the next n commits reach the server and their answers reach nobody."""

    def __init__(self, upstream: URL) -> None:
        self._upstream = upstream
        self._cuts = 0
        self.cut = 0

    def cut_commits(self, count: int) -> None:
        self._cuts = count

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await self._connect()
        deaf = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                back = group.create_task(self._answers(server_reader, writer, deaf))
                await self._requests(reader, server_writer, deaf)
                back.cancel()
        finally:
            for stream in (writer, server_writer):
                stream.close()

    async def _connect(self) -> Streams:
        folder = self._upstream.query.get("host")
        if isinstance(folder, str):
            return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        return await asyncio.open_connection(self._upstream.host, self._upstream.port or 5432)

    async def _requests(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, deaf: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if self._cuts and b"COMMIT" in data:
                self._cuts -= 1
                self.cut += 1
                deaf.set()
            server.write(data)
            await server.drain()

    async def _answers(
        self, server: asyncio.StreamReader, writer: asyncio.StreamWriter, deaf: asyncio.Event
    ) -> None:
        with suppress(ConnectionError):
            while data := await server.read(65536):
                if deaf.is_set():
                    break
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """The proxy and a URL that leads through it."""
    upstream = make_url(url)
    proxy = Proxy(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    through = upstream.set(host="127.0.0.1", port=port, query={})
    async with server:
        yield proxy, through.render_as_string(hide_password=False)
