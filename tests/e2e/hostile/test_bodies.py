"""Bodies without measure: large, endless, compressed. None is held in memory, none fails us."""

import gzip
import zlib
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.hostile import values
from tests.e2e.hostile.raw import chunks, say, zeros
from tests.e2e.hostile.victim import Victim

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]
CAP = 8.0
"""MiB that the process may grow by over all bodies of one test."""
HUGE = 100 * 1024 * 1024
JSON = "Content-Type: application/json"
NDJSON = "Content-Type: application/x-ndjson"
PLACES = {
    "POST /v1/events": (413, JSON),
    "POST /v1/webhooks/nobody": (413, JSON),
    "PUT /v1/pipelines/x": (413, JSON),
    "PUT /v1/rules/x": (413, JSON),
    "PUT /v1/connections/x": (413, JSON),
    "POST /v1/api-keys": (413, JSON),
    "POST /v1/nothing": (404, JSON),
    "GET /v1/deals": (200, JSON),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["told", "chunked"])
def test_a_hundred_megabytes_are_refused_as_they_come(victim: Victim, chunked: bool) -> None:
    """In the first round a process also grows by what it needs once, as for each connection to the
    database: there the bound is a part of one body; in the second it is that of all tests."""
    for bound in (HUGE / 4 / 2**20, CAP):
        with victim.unharmed(bound):
            _send_huge_ones(victim, chunked)


def _send_huge_ones(victim: Victim, chunked: bool) -> None:
    coding = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {HUGE}"
    for place, (status, media) in PLACES.items():
        asked = victim.head(*place.split(), media, coding)
        body = chunks(zeros(HUGE)) if chunked else zeros(HUGE)
        heard = say(victim.port, _whole(asked, body))
        assert (place, heard.status) == (place, status)
        assert heard.sent < HUGE / 4, place


def test_an_endless_body_is_refused(victim: Victim) -> None:
    def endless() -> Iterator[bytes]:
        yield victim.head("POST", "/v1/events", JSON, "Transfer-Encoding: chunked")
        while True:
            yield b"1\r\n0\r\n" * 10_000

    with victim.unharmed(CAP):
        assert say(victim.port, endless()).status == 413


def test_what_is_not_taken_compressed_is_415(victim: Victim) -> None:
    body, heard = gzip.compress(values.event("packed")), {}
    with victim.unharmed(CAP):
        for path in ("/v1/events", "/v1/webhooks/nobody", "/v1/imports"):
            media = NDJSON if path == "/v1/imports" else JSON
            for coding in ("deflate", "br", "zstd", "gzip, gzip", "x", "gzip")[
                : 5 + (media == JSON)
            ]:
                answer = victim.post(path, body, media, f"Content-Encoding: {coding}")
                heard[path, coding] = answer.status
    assert set(heard.values()) == {415}, heard


def _bomb() -> bytes:
    """200 MiB of nothing in 204 KB."""
    return gzip.compress(bytes(200 * 1024 * 1024), 9, mtime=0)


def _members() -> bytes:
    """A thousand streams one after the other, each within reason by itself."""
    return gzip.compress(bytes(1024 * 1024), 9, mtime=0) * 200


def _deep() -> bytes:
    """A bomb within a bomb: only the outer one is ours to unpack, and it is none."""
    return gzip.compress(_bomb(), mtime=0)


BOMBS: dict[str, tuple[Callable[[], bytes], tuple[int, ...]]] = {
    "bomb": (_bomb, (413,)),
    "members": (_members, (413,)),
    "bomb in a bomb": (_deep, (202,)),
    "cut short": (lambda: gzip.compress(b"{}" * 9_000)[:-9], (400,)),
    "no gzip": (lambda: b"{}", (400,)),
    "raw deflate": (lambda: zlib.compress(b"{}"), (400,)),
    "rubbish behind": (lambda: gzip.compress(b"{}\n") + b"rubbish", (400,)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_go_off(victim: Victim, name: str) -> None:
    make, statuses = BOMBS[name]
    body = make()
    with victim.unharmed(CAP):
        answer = victim.post("/v1/imports", body, NDJSON, "Content-Encoding: gzip")
        assert answer.status in statuses
        victim.rest()


def test_a_file_of_one_line_is_no_line_to_hold(victim: Victim) -> None:
    size = HUGE // 2
    with victim.unharmed(2 * CAP):
        asked = victim.head("POST", "/v1/imports", NDJSON, f"Content-Length: {size}")
        assert say(victim.port, _whole(asked, zeros(size))).status == 202
        victim.rest()
    last = victim.http.get("/v1/imports").json()["items"][0]
    assert (last["state"], last["rows"], last["rejected"]) == ("done", 1, 1)


def _whole(asked: bytes, body: Iterator[bytes]) -> Iterator[bytes]:
    yield asked
    yield from body
