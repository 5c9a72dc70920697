"""What reads and writes HTTP/1.1 just as far as this bench needs it: bodies with a length."""

from dataclasses import dataclass, field

_LENGTH = b"content-length:"


@dataclass(slots=True)
class Inbox:
    """What came on a connection; `take` answers one message at a time, when it is there whole."""

    _held: bytearray = field(default_factory=bytearray)
    _wanted: int = 0
    _head: int = 0

    def feed(self, data: bytes) -> None:
        self._held += data

    def take(self) -> tuple[bytes, bytes] | None:
        """Head and body of the next message."""
        if not self._wanted and not self._measure():
            return None
        if len(self._held) < self._wanted:
            return None
        head, body = bytes(self._held[: self._head]), bytes(self._held[self._head : self._wanted])
        del self._held[: self._wanted]
        self._wanted = 0
        return head, body

    def _measure(self) -> bool:
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._head = end + 4
        self._wanted = self._head + int(header(bytes(self._held[: self._head]), _LENGTH) or 0)
        return True


def header(head: bytes, name: bytes) -> bytes | None:
    """A header's value; `name` is in small letters and ends with a colon."""
    found = head.lower().find(b"\r\n" + name)
    if found < 0:
        return None
    start = found + 2 + len(name)
    return head[start : head.index(b"\r\n", start)].strip()


def status_of(head: bytes) -> int:
    return int(head[9:12])
