"""A file of 2 GiB: in constant memory, over a SIGKILL, and a second time without an effect."""

import os
from collections.abc import Callable

import pytest

from tests.e2e.hostile.file_of_rows import FileOfRows
from tests.e2e.hostile.importing import PATIENCE, begun, ended, faults, shown
from tests.e2e.hostile.victim import Victim
from tests.e2e.processes.stack import until

pytestmark = [
    pytest.mark.e2e, pytest.mark.postgres, pytest.mark.scale, pytest.mark.timeout(3_400),
]  # fmt: skip
MIB = 1024 * 1024
SIZE = int(os.environ.get("HEADWAY_TEST_IMPORT_MIB", "2048")) * MIB
CAP = 192.0
"""MiB above what the process held before: chunks of 2 MiB and what they are decoded to, and the
batches of 4 MiB of the funnel, its relay and the alerts, since all of it runs in one process."""


def test_it_runs_in_constant_memory_and_counts_each_row_once(
    importing: Victim, record_property: Callable[[str, object], None]
) -> None:
    victim, file = importing, FileOfRows(SIZE)
    rows, wrong = file.rows, file.wrong
    victim.is_well()
    before = victim.memory()
    victim.forget_peak()
    path = begun(victim, file)
    peaks = [victim.memory("VmHWM")]
    until("a third is in", lambda: shown(victim, path)["rows"] > rows // 3, PATIENCE, 0.5)
    checkpoint, peaks = shown(victim, path)["rows"], [*peaks, victim.memory("VmHWM")]
    victim.headway.kill()
    victim.again()
    assert shown(victim, path)["rows"] >= checkpoint
    assert ended(victim, path) == ("done", rows, rows - len(wrong), 0, len(wrong), 0)
    assert faults(victim, path) == wrong
    peaks.append(victim.memory("VmHWM"))
    again = begun(victim, file)
    assert ended(victim, again) == ("done", rows, 0, rows - len(wrong), len(wrong), 0)
    peaks.append(victim.memory("VmHWM"))
    for name, value in {
        "MiB": SIZE // MIB,
        "rows": rows,
        "rejected": len(wrong),
        "killed at row": checkpoint,
        "MiB held before": round(before),
        "MiB more at most, while received / killed / done / again": [
            round(peak - before) for peak in peaks
        ],
    }.items():
        record_property(name, value)
    until("it is ready", lambda: victim.http.get("/readyz").status_code == 200, PATIENCE, 0.5)
    assert max(peaks) - before <= CAP
