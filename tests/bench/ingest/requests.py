"""Requests that are ready to be sent: built once, told apart by a mark that is put in as they go.

Every one that is sent has ids and deals of its own, so that none repeats another.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import orjson

from tests.bench.stream import Told, stream

MARK = b"@@@@@@@@"
BATCH = 500
_DEALS_OF_A_POOL = 4_000
"""Events that are built in all; then they begin anew, under another mark."""


@dataclass(frozen=True, slots=True)
class Template:
    """A whole request but for the marks; `events` are in it."""

    content: bytes
    events: int

    def marked(self, mark: bytes) -> bytes:
        """The request under a mark of the same length."""
        return self.content.replace(MARK, mark)


def templates(path: str, size: int, headers: Mapping[str, str]) -> Sequence[Template]:
    """Requests of `size` events each; of one event each as it is, of more as a list.

    The stream tells some events twice. Here each is told once: two of one id that are under way
    together are accepted twice and have one effect, so the log would hold fewer than the answers.
    """
    once = {event.envelope.id: event for event in stream(_DEALS_OF_A_POOL)}
    told = [structured(event) for event in once.values()]
    parts = [told[i : i + size] for i in range(0, len(told) - size + 1, size)]
    bodies = [orjson.dumps(part if size > 1 else part[0]) for part in parts]
    return [Template(_head(path, len(body), headers) + body, size) for body in bodies]


def structured(told: Told) -> dict[str, Any]:
    """The event as its sender writes it, with a mark in its id and in its deal's."""
    envelope, mark = told.envelope, MARK.decode()
    data = orjson.loads(envelope.data)
    return {
        "specversion": "1.0",
        "id": mark + envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "time": envelope.occurred_at.isoformat(),
        "data": {**data, "deal_id": mark + data["deal_id"]},
    }


def marks(run: int) -> Iterator[bytes]:
    """Eight characters each, never the same twice in a bench: `run` differs from load to load."""
    for number in count():
        yield f"{run:03d}{number:05d}".encode()


def stock(templates: Sequence[Template], run: int) -> Iterator[tuple[bytes, int]]:
    """Requests without end, and how many events each has."""
    for mark in marks(run):
        for template in templates:
            yield template.marked(mark), template.events


def _head(path: str, length: int, headers: Mapping[str, str]) -> bytes:
    given = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Content-Length": str(length),
        **headers,
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode()
