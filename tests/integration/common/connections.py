"""A port with an application that tells what it was given, and sockets of ours to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from libs.common.web.door import Bounds
from libs.common.web.serve import Port, listen, listening
from libs.common.web.unhurried import unhurried

CALM = Bounds(receive_seconds=60)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@dataclass
class Told:
    """An application; `/early` answers before it reads, `/file` takes its time, `/held` waits."""

    bodies: list[bytes] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    left: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.scopes.append(scope)
        if scope["path"] == "/file":
            unhurried(scope)
        if scope["path"] == "/held":
            await self.go.wait()
        if scope["path"] != "/early":
            try:
                self.bodies.append(await request.body())
            except ClientDisconnect:
                self.left += 1
                return
        await PlainTextResponse("ok")(scope, receive, send)


class Client:
    """A socket of ours."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self) -> bytes:
        """One answer of a known length."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 60)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head + await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """All until the other side closes."""
        try:
            return await asyncio.wait_for(self.reader.read(), 60)
        except ConnectionResetError:
            return b""


@dataclass
class Site:
    told: Told
    at: Port
    clients: list[Client] = field(default_factory=list)

    async def client(self, source: str = "127.0.0.1") -> Client:
        opened = await asyncio.open_connection("127.0.0.1", self.at.number, local_addr=(source, 0))
        self.clients.append(Client(*opened))
        return self.clients[-1]

    async def says(self, *pieces: bytes) -> bytes:
        """All that a connection of its own is answered until it is closed."""
        client = await self.client()
        await client.send(*pieces)
        return await client.rest()


@asynccontextmanager
async def site(bounds: Bounds) -> AsyncIterator[Site]:
    told, stop = Told(), asyncio.Event()
    async with listening(told, listen("127.0.0.1", 0), stop, bounds) as port:
        opened = Site(told, port)
        try:
            yield opened
        finally:
            told.go.set()
            for client in opened.clients:
                client.writer.close()
                await asyncio.gather(client.writer.wait_closed(), return_exceptions=True)
