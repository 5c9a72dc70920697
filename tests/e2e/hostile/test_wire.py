"""Requests that are none, over real sockets: refused, never followed by a second answer."""

import pytest

from tests.e2e.hostile import wire
from tests.e2e.hostile.raw import PIECE, Heard, say
from tests.e2e.hostile.victim import Victim

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]
CAP = 8.0
"""MiB that the process may grow by, in all attacks of one kind together."""


def told(victim: Victim, request: bytes) -> Heard:
    """What comes back for it, with another request behind it that must not be seen as one."""
    whole = request.replace(b"%KEY", victim.key.encode()) + wire.SMUGGLED
    return say(victim.port, (whole[at : at + PIECE] for at in range(0, len(whole), PIECE)))


@pytest.mark.parametrize("kind", ["LENGTHS", "CHUNKS", "LINES"])
def test_what_is_malformed_is_refused_once_and_the_connection_ends(
    victim: Victim, kind: str
) -> None:
    corpus: dict[str, bytes] = getattr(wire, kind)
    with victim.unharmed(CAP):
        heard = {name: told(victim, request) for name, request in corpus.items()}
    assert {name: one.statuses for name, one in heard.items()} == {name: [400] for name in corpus}


def test_heads_and_trailers_have_an_end(victim: Victim) -> None:
    with victim.unharmed(CAP):
        heard = {name: told(victim, request) for name, request in wire.EXCESS.items()}
    assert {name: one.statuses for name, one in heard.items()} == {n: [431] for n in wire.EXCESS}


@pytest.mark.parametrize("method", ["GET /livez", "POST /v1/events", "GET /v1/deals"])
def test_of_many_requests_at_once_one_is_answered(victim: Victim, method: str) -> None:
    verb, path = method.split()
    request = victim.head(verb, path, "Content-Length: 0")
    with victim.unharmed(CAP):
        heard = say(victim.port, [request * 20_000])
    assert heard.answers == 1
