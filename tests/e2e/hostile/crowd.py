"""Thousands of sockets that do nothing, or next to nothing, and good traffic beside them."""

import asyncio
import multiprocessing
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Self

import httpx

from tests.e2e.hostile import values

HEADERS = {"Content-Type": "application/cloudevents+json"}


@dataclass
class Good:
    """A sender that posts one event after the other; seconds of each answer, by window."""

    url: str
    key: str
    source: str = "127.0.0.1"
    window: str = ""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        transport = httpx.HTTPTransport(local_address=self.source)
        headers = HEADERS | {"Authorization": f"Bearer {self.key}"}
        with httpx.Client(
            base_url=self.url, headers=headers, timeout=60, transport=transport
        ) as http:
            number = 0
            while not self._stop.is_set():
                number += 1
                event = values.event(f"beside-{self.source}-{time.monotonic_ns()}-{number}")
                window, started = self.window, time.perf_counter()
                self.statuses[http.post("/v1/events", content=event).status_code] += 1
                if window and window == self.window:
                    taken = time.perf_counter() - started
                    self.seconds.setdefault(window, []).append(taken)


def percentile(samples: list[float], share: float) -> float:
    return sorted(samples)[min(len(samples) - 1, int(share * len(samples)))]


class Crowd:
    """Non-blocking sockets; whoever is closed by the other side may come again."""

    def __init__(self, port: int) -> None:
        self._port, self._turn = port, 0
        self._selector = selectors.DefaultSelector()
        self._said: dict[socket.socket, bytes] = {}
        self.ends: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._said)

    def join(self, count: int, first: bytes = b"", source: str = "127.0.0.1") -> None:
        for _ in range(count):
            opened = socket.create_connection(("127.0.0.1", self._port), 60, (source, 0))
            opened.setblocking(False)
            self._said[opened] = b""
            self._selector.register(opened, selectors.EVENT_READ)
            self._send(opened, first)

    def drip(self, piece: bytes, turns: int) -> None:
        """A piece from each whose turn it is."""
        self._turn += 1
        for opened in list(self._said)[self._turn % turns :: turns]:
            self._send(opened, piece)

    def look(self, seconds: float = 0) -> None:
        """Take note of who has been closed."""
        for key, _ in self._selector.select(seconds):
            opened = key.fileobj
            assert isinstance(opened, socket.socket)
            self._hear(opened)

    def leave(self) -> None:
        for opened in list(self._said):
            self._drop(opened, "left")
        self._selector.close()

    def _send(self, opened: socket.socket, piece: bytes) -> None:
        try:
            opened.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            self._drop(opened, "reset")
        except BlockingIOError:
            pass

    def _hear(self, opened: socket.socket) -> None:
        try:
            piece = opened.recv(4_096)
        except ConnectionResetError:
            self._drop(opened, "reset")
            return
        if piece:
            self._said[opened] += piece
        else:
            self._drop(opened, (self._said[opened] or b"HTTP/1.1 closed")[9:15].decode().split()[0])

    def _drop(self, opened: socket.socket, how: str) -> None:
        if opened in self._said:
            how = self._said.pop(opened)[9:12].decode() or how
            self._selector.unregister(opened)
            opened.close()
            self.ends[how] += 1


@contextmanager
def crowd(port: int) -> Iterator[Crowd]:
    made = Crowd(port)
    try:
        yield made
    finally:
        made.leave()


@contextmanager
def besieged(port: int, count: int) -> Iterator[None]:
    """So many slow sockets, held by a process of their own: what it costs to hold them is not to
    slow down whoever measures beside them."""
    spawning = multiprocessing.get_context("spawn")
    ready, stop = spawning.Event(), spawning.Event()
    process = spawning.Process(target=_besiege, args=(port, count, ready, stop), daemon=True)
    process.start()
    try:
        assert ready.wait(120)
        yield
    finally:
        stop.set()
        process.join(60)


@contextmanager
def another_port() -> Iterator[int]:
    """Where somebody else listens, who says nothing and closes after 10 s as well: what the sockets
    cost the machine, and not the process that is looked at."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_listen, args=(theirs,), daemon=True)
    process.start()
    try:
        assert ours.poll(60)
        yield int(ours.recv())
    finally:
        process.kill()
        process.join(60)


def _listen(told: Connection) -> None:
    async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(10)
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(held, "127.0.0.1", 0, backlog=1_024)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def _besiege(port: int, count: int, ready: Event, stop: Event) -> None:
    """A byte of one in twenty at a time; those who were cut come again, some at a time."""
    with crowd(port) as slow:
        while not stop.is_set():
            slow.look(0.1)
            slow.drip(b"a", 20)
            slow.join(min(100, count - len(slow)), b"POST /v1/events HTTP/1.1\r\nX-Slow: ")
            if len(slow) >= 0.9 * count:
                ready.set()
