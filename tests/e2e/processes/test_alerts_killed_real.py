"""What a reader reads of a tenant of real time, where the watermark and no sandbox's clock decides:
the oracle's records, whatever dies in between."""

from collections.abc import Callable, Mapping

import pytest

from tests.e2e.processes.alert_story import ending_lately
from tests.e2e.processes.real_time import RealTime
from tests.e2e.processes.sandbox import CONSUMER, FUNNEL, RELAY, SCHEDULER, Part, Reading, Sandboxes

pytestmark = [
    pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres,
    pytest.mark.fault, pytest.mark.timeout(600),
]  # fmt: skip
KILLS: tuple[tuple[Part, str], ...] = (
    (SCHEDULER, "alerts.before_write"), (SCHEDULER, "alerts.after_write"),
    (RELAY, "relay.after_append"), (RELAY, "relay.before_mark"),
    (CONSUMER, "loop.before_commit"), (CONSUMER, "loop.after_commit"),
    (FUNNEL, "funnel.after_write"), (FUNNEL, "loop.after_commit"),
)  # fmt: skip
DEALS = 60
Note = Callable[[str, object], None]


def test_without_a_kill(sandboxes: Sandboxes, record_property: Note) -> None:
    assert _lived(sandboxes, "real-calm", {}, record_property) == 0


@pytest.mark.parametrize(("part", "point"), KILLS, ids=lambda value: "-".join(value)
                         if isinstance(value, tuple) else value)  # fmt: skip
def test_a_process_killed_twice_at_a_crash_point(
    sandboxes: Sandboxes, part: Part, point: str, record_property: Note
) -> None:
    hits = len(sandboxes.stack.crashed_at())
    name = f"real-{'-'.join(part)}-{point}".replace(".", "-").replace("_", "-")
    armed = {part: [f"{point}:12", f"{point}:5"]}
    repeats = _lived(sandboxes, name, armed, record_property)
    assert sandboxes.stack.crashed_at()[hits:] == [point, point]
    assert (repeats > 0) == (part == RELAY)  # it dies between append and mark


def _lived(sandboxes: Sandboxes, name: str, armed: Mapping[Part, list[str]], note: Note) -> int:
    """How many records were repeats; all else is as the oracle says."""
    with sandboxes.open(name, armed, real=True) as living:
        tenant = RealTime(living, sandboxes.stack.database_url)
        oracle = tenant.live(ending_lately(5, DEALS, name))
        reading = Reading.of(living.records())
        assert reading.differences(oracle.told) == []
        assert living.dead_letters() == []
        assert living.crew.killed == sum(map(len, armed.values())) or not armed
    note("records", sum(map(len, oracle.told.values())))
    note("repeats", reading.repeats)
    return reading.repeats
