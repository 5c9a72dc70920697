"""That the senders of the outages see an answer that does not come: their numbers judge ingest."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.processes.traffic import PROMISED, Traffic

pytestmark = pytest.mark.e2e


@pytest.fixture
def silent() -> Iterator[str]:
    """Who takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def _asked(url: str, patience: float) -> Traffic:
    traffic = Traffic({"acme": "a-key"}, [url], senders=1)
    (sender,) = traffic.senders
    with httpx.Client(base_url=url, trust_env=False, timeout=patience) as http:
        assert not sender.taken(http, [{"id": "e-1"}])
    return traffic


def test_a_request_that_is_given_up_counts_with_its_time(silent: str) -> None:
    traffic = _asked(silent, patience=0.3)
    assert traffic.unreached == 1
    assert traffic.slowest >= 0.3


def test_what_a_sender_meets_is_judged(silent: str) -> None:
    traffic = _asked(silent, patience=0.01)
    assert traffic.misbehaved(killed=False) == ["1 requests were not answered"]
    assert traffic.misbehaved(killed=True) == []
    (sender,) = traffic.senders
    sender.answers.slowest = PROMISED + 1
    assert traffic.misbehaved(killed=True) == ["an answer took 5.0 s"]
