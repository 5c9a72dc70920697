"""However it is told to stop, and however often, the one process takes its PostgreSQL with it."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.standalone.headway import Headway

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]
TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


@pytest.fixture
def headway(tmp_path: Path) -> Iterator[Headway]:
    """SIGHUP has its default effect, also where these tests run under nohup."""
    inherited = signal.signal(HUP, signal.SIG_DFL)
    process = Headway(tmp_path / "data", ("--no-demo",))
    yield process
    process.clean_up()
    signal.signal(HUP, inherited)


@pytest.mark.parametrize("told", [(HUP,), (TERM, INT), (INT, TERM), (HUP, TERM, INT)])
def test_more_than_one_signal_stops_everything(
    headway: Headway, told: tuple[signal.Signals, ...]
) -> None:
    headway.start()
    for number in told:
        headway.process.send_signal(number)
    assert headway.ended(headway.patience) == (0 if len(told) == 1 else 1)
    assert headway.postgres.running_pid() is None


def test_signals_that_keep_coming_stop_everything(headway: Headway) -> None:
    headway.start()
    for _ in range(200):
        headway.process.send_signal(TERM)
        try:
            headway.ended(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    assert headway.process.poll() is not None
    assert headway.postgres.running_pid() is None
