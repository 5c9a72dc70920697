"""The funnel's consumer dies by SIGKILL at each of its crash points: nothing is lost or doubled.

What came of it is held against a run over the same log that nothing interrupted.
"""

import signal
from collections.abc import Callable

import pytest

from tests.e2e.processes.outcome import differences
from tests.e2e.processes.scene import Made, Scene
from tests.e2e.processes.sender import Sender

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres]
POINTS = (
    "loop.before_commit", "loop.after_commit", "loop.before_report", "funnel.before_write",
    "funnel.after_write", "relay.after_append", "relay.before_mark",
)  # fmt: skip


@pytest.mark.timeout(200)
def test_a_consumer_killed_mid_way_while_events_come_in(scene: Scene) -> None:
    with scene.clone() as stack:
        since, sender = scene.since(), Sender()
        ingest = stack.start("ingest", "api").ready()
        consumer = stack.start("funnel", "worker", HEADWAY_CRASH_POINT="loop.before_commit:3")
        consumer.ready()
        sending = scene.sending(ingest, sender)
        while consumer.exit_code is None and next(sending, sender) is None:
            pass
        assert consumer.wait() == -signal.SIGKILL
        assert stack.crashed_at() == ["loop.before_commit"]
        again = stack.start("funnel", "worker")
        for _ in sending:
            pass
        repeated = scene.repeat_some()
        assert sender.accepted == scene.distinct() > 2_000
        assert min(sender.duplicates, repeated) > 50
        scene.await_settled(stack)
        again.stop()
        ingest.stop()
        made = scene.made(stack, since)
    wanted = scene.uninterrupted()
    assert differences(made.rows, wanted.rows) == []
    assert (made.numbers, made.stays) == (wanted.numbers, wanted.stays)


@pytest.fixture(scope="module")
def wanted(scene: Scene) -> Made:
    """The stream is in the log; what a funnel that nothing interrupts makes of it."""
    with scene.clone() as stack:
        ingest = stack.start("ingest", "api").ready()
        assert scene.send(ingest).accepted == scene.distinct()
        ingest.stop()
    assert scene.repeat_some() > 50
    return scene.uninterrupted()


@pytest.mark.fault
@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", POINTS)
def test_a_consumer_killed_twice_at_each_crash_point(
    scene: Scene, wanted: Made, point: str, record_property: Callable[[str, object], None]
) -> None:
    with scene.clone() as stack:
        since, hits = scene.since(), len(stack.crashed_at())
        for nth in (3, 2):
            consumer = stack.start("funnel", "worker", HEADWAY_CRASH_POINT=f"{point}:{nth}")
            assert consumer.wait(90) == -signal.SIGKILL
            assert not scene.settled(stack), "nothing was left to do: the kill came too late"
        assert stack.crashed_at()[hits:] == [point, point]
        last = stack.start("funnel", "worker")
        scene.await_settled(stack)
        last.stop()
        made = scene.made(stack, since)
    assert differences(made.rows, wanted.rows) == []
    assert (made.numbers, made.stays) == (wanted.numbers, wanted.stays)
    record_property("killed", 2)
    record_property("events", sum(len(rows["events"]) for rows in made.rows.values()))
