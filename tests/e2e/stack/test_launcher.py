"""The launcher itself: killed, started anew, told to stop."""

import pytest

from tests.e2e.processes.stack import until
from tests.e2e.stack.launched import Launched, deals, event

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.kafka, pytest.mark.timeout(300)]


def test_what_a_killed_launcher_leaves_behind_the_next_one_clears(own_stack: Launched) -> None:
    stack = own_stack
    with stack.tenant("acme") as client:
        client.post("/v1/events", json=[event(1)])
        until("folded", lambda: deals(client) == {"D-1"}, 60, 0.2)
        key = client.headers["Authorization"].removeprefix("Bearer ")
    orphans = stack.processes()
    stack.kill()
    assert stack.processes() == orphans
    stack.start()
    assert not set(orphans.values()) & set(stack.processes().values())
    with stack.by(key) as again:
        assert deals(again) == {"D-1"}
    assert stack.terminate() == 0
    assert stack.processes() == {}
