"""Requests that do not come: whoever takes longer than 10 s is told so and left, on every path."""

import threading
from collections.abc import Iterator

import pytest

from tests.e2e.hostile import values
from tests.e2e.hostile.raw import Heard, head, say
from tests.e2e.hostile.victim import Victim

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]
CAP = 8.0
LIMIT, PATIENCE = 10.0, 20.0
"""The limit, and what a busy machine may add to it."""
JSON = "Content-Type: application/json"


def dripping(*pieces: bytes) -> Iterator[bytes]:
    """Pieces at once, then a byte now and then."""
    yield from pieces
    while True:
        yield b" "


def attacks(victim: Victim) -> dict[str, Iterator[bytes]]:
    slow = {
        f"body of {place}": dripping(victim.head(*place.split(), JSON, "Content-Length: 1000"))
        for place in ("POST /v1/events", "POST /v1/webhooks/nobody", "PUT /v1/pipelines/b2b")
    }
    return slow | {
        "nothing at all": iter(()),
        "line": dripping(b"GET /"),
        "headers": dripping(b"GET /v1/deals HTTP/1.1\r\nX-A:"),
        "nothing but ends of lines": (b"\r\n" for _ in iter(int, 1)),
        "body that nobody reads": dripping(head("GET", "/livez", "Content-Length: 1000")),
        "body of nobody's path": dripping(head("POST", "/nothing", "Content-Length: 1000")),
        "body without a key": dripping(head("POST", "/v1/imports", "Content-Length: 1000")),
    }


def test_slow_ones_are_left_and_a_slow_file_is_not(victim: Victim) -> None:
    heard: dict[str, Heard] = {}

    def attack(name: str, pieces: Iterator[bytes], pause: float = 0.5) -> None:
        heard[name] = say(victim.port, pieces, pause)

    with victim.unharmed(CAP):
        given = [*attacks(victim).items(), ("file", _file(victim))]
        threads = [threading.Thread(target=attack, args=one) for one in given]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    file = heard.pop("file")
    assert (file.status, file.seconds > LIMIT) == (202, True)
    read = ("body of POST", "body of PUT", "line", "headers", "nothing but")
    assert {n for n, one in heard.items() if one.status == 408} == {
        name for name in heard if name.startswith(read)
    }
    assert [n for n, one in heard.items() if one.seconds > LIMIT + PATIENCE] == []


def _file(victim: Victim) -> Iterator[bytes]:
    lines = [values.event(f"slow-{n}") + b"\n" for n in range(24)]
    size = sum(map(len, lines))
    media = "Content-Type: application/x-ndjson"
    yield victim.head("POST", "/v1/imports", media, f"Content-Length: {size}")
    yield from lines
