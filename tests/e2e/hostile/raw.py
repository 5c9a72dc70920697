"""A client that keeps to no rule: bytes over sockets, as they are given."""

import select
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PATIENCE = 60.0
"""Seconds after which a server that says nothing fails the test."""
PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Heard:
    """What a connection said until it was closed."""

    content: bytes
    sent: int
    """Bytes that it took, at most, before it had enough."""
    seconds: float

    @property
    def answers(self) -> int:
        return self.content.count(b"HTTP/1.1 ")

    @property
    def statuses(self) -> list[int]:
        parts = self.content.split(b"HTTP/1.1 ")[1:]
        return [int(part[:3]) for part in parts]

    @property
    def status(self) -> int:
        """Of the only answer; 0 where there is none."""
        assert self.answers <= 1, self.content
        return self.statuses[0] if self.answers else 0


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))


def say(port: int, pieces: Iterable[bytes], pause: float = 0) -> Heard:
    """Send until it is all gone or answered, then listen until the other side closes, or until it
    has answered and says no more."""
    started, sent, content = time.monotonic(), 0, b""
    with connect(port) as opened:
        for piece in pieces:
            if (done := _sent(opened, piece)) is None:
                break
            sent += done
            if _readable(opened, pause):
                break
        content = _rest(opened)
    return Heard(content, sent, time.monotonic() - started)


def _sent(opened: socket.socket, piece: bytes) -> int | None:
    try:
        opened.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        return None
    return len(piece)


def _readable(opened: socket.socket, seconds: float) -> bool:
    poll = select.poll()  # select knows no number beyond 1,023
    poll.register(opened, select.POLLIN)
    return bool(poll.poll(seconds * 1_000))


def _rest(opened: socket.socket) -> bytes:
    content, wait = b"", PATIENCE
    while _readable(opened, wait):
        try:
            piece = opened.recv(PIECE)
        except ConnectionResetError:
            return content
        if not piece:
            return content
        content, wait = content + piece, 1.0
    assert content, f"neither an answer nor an end within {PATIENCE:g} s"
    return content


def head(method: str, path: str, *lines: str) -> bytes:
    """A request's head, with what it needs besides `lines`."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: headway", *lines, "", ""]).encode()


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A chunked body with its end."""
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def zeros(size: int) -> Iterator[bytes]:
    """So many bytes in pieces."""
    piece = b"0" * PIECE
    for start in range(0, size, PIECE):
        yield piece[: size - start]
