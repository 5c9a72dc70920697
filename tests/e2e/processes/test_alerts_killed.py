"""An integrator reads of each alert exactly what the oracle says, whatever dies in between."""

from collections.abc import Callable

import pytest

from tests.e2e.processes.alert_story import story
from tests.e2e.processes.sandbox import (
    CONSUMER,
    FUNNEL,
    PARTS,
    RELAY,
    SCHEDULER,
    Part,
    Reading,
    Sandboxes,
)

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres]
KILLS: tuple[tuple[Part, str], ...] = (
    (SCHEDULER, "alerts.before_write"), (SCHEDULER, "alerts.after_write"),
    (RELAY, "relay.after_append"), (RELAY, "relay.before_mark"),
    (CONSUMER, "loop.before_commit"), (CONSUMER, "loop.after_commit"),
    (CONSUMER, "loop.before_report"),
    (FUNNEL, "funnel.before_write"), (FUNNEL, "funnel.after_write"),
    (FUNNEL, "relay.after_append"), (FUNNEL, "relay.before_mark"),
    (FUNNEL, "loop.before_commit"), (FUNNEL, "loop.after_commit"),
    (FUNNEL, "loop.before_report"),
)  # fmt: skip
DEALS = 200


@pytest.mark.timeout(200)
def test_a_reader_sees_the_oracles_records_and_no_repeats(
    sandboxes: Sandboxes, record_property: Callable[[str, object], None]
) -> None:
    with sandboxes.open("calm") as sandbox:
        oracle = sandbox.live(story(1, 60, "calm"))
        reading = Reading.of(sandbox.records())
        assert reading.differences(oracle.told) == []
        assert reading.repeats == 0
        assert sandbox.dead_letters() == []
    types = [told.type for of in oracle.told.values() for told in of]
    assert set(types) == {"alert.fired", "alert.resolved", "alert.corrected"}
    record_property("records", len(types))


@pytest.mark.fault
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("part", "point"), KILLS, ids=lambda value: "-".join(value)
                         if isinstance(value, tuple) else value)  # fmt: skip
def test_a_process_killed_twice_at_a_crash_point(
    sandboxes: Sandboxes, part: Part, point: str, record_property: Callable[[str, object], None]
) -> None:
    hits = len(sandboxes.stack.crashed_at())
    name = f"{part[1]}-{point}".replace(".", "-").replace("_", "-")
    with sandboxes.open(name, {part: [f"{point}:12", f"{point}:5"]}) as sandbox:
        oracle = sandbox.live(story(2, DEALS, name))
        reading = Reading.of(sandbox.records())
        assert sandboxes.stack.crashed_at()[hits:] == [point, point]
        assert sandbox.crew.killed == 2
        assert reading.differences(oracle.told) == []
        assert (reading.repeats > 0) == (part == RELAY)  # it dies between append and mark
        assert sandbox.dead_letters() == []
    record_property("records", sum(map(len, oracle.told.values())))
    record_property("repeats", reading.repeats)


@pytest.mark.fault
@pytest.mark.timeout(600)
def test_new_processes_take_over_from_old_ones(
    sandboxes: Sandboxes, record_property: Callable[[str, object], None]
) -> None:
    """Each new one first, then the old one is stopped: as orchestrators roll out a version. That
    everything is stopped first, as `headway stack` does it, is the test of that stack."""
    with sandboxes.open("rolling") as sandbox:

        def restart(number: int) -> None:
            if 4 <= number < 4 + len(PARTS):
                sandbox.crew.replace(PARTS[number - 4])

        oracle = sandbox.live(story(3, DEALS, "rolling"), restart)
        reading = Reading.of(sandbox.records())
        assert reading.differences(oracle.told) == []
        assert reading.repeats == 0
        assert sandbox.dead_letters() == []
    record_property("records", sum(map(len, oracle.told.values())))
