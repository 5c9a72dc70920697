"""A file of many small rows, one in six of them bad: memory does not grow with their number.

Each row costs the same work whatever its size: what one process of two cores works off is some
1,600 small rows a second, its funnel beside it (`rows/s` of the findings), so that 2 GiB of them,
4.6 million rows, and the same once more would last an hour and a half. So the file has as many rows
as show what must be shown, in a quarter of an hour: a tenth of them is more than the keys that a
process remembers (65,536, of `partition_for`), hence from then on a hundred bytes a row would be
55 MiB more.
"""

import os
import time
from collections.abc import Callable

import pytest

from tests.e2e.hostile.file_of_rows import SHORT, FileOfRows, small
from tests.e2e.hostile.importing import PATIENCE, begun, ended, faults, shown
from tests.e2e.hostile.victim import Victim
from tests.e2e.processes.stack import until

pytestmark = [
    pytest.mark.e2e, pytest.mark.postgres, pytest.mark.scale, pytest.mark.timeout(3_400),
]  # fmt: skip
SIZE = int(os.environ.get("HEADWAY_TEST_SMALL_ROWS_MIB", "320")) * 1024 * 1024
EVERY = 6
CAP = 192.0
"""MiB above what the process held before; see the file of large rows."""
GROWTH = 48.0
"""MiB of it from the first tenth of the rows on: over the rest, while their errors are read, and
over the same file again."""


def test_memory_stays_where_it_was_after_the_first_tenth(
    importing: Victim, record_property: Callable[[str, object], None]
) -> None:
    victim, file = importing, FileOfRows(SIZE, small, EVERY, SHORT)
    rows, wrong = file.rows, file.wrong
    victim.is_well()
    before = victim.memory()
    victim.forget_peak()
    path, started = begun(victim, file), time.monotonic()
    until("a tenth is in", lambda: shown(victim, path)["rows"] > rows // 10, PATIENCE, 0.5)
    peaks = [victim.memory("VmHWM")]
    assert ended(victim, path) == ("done", rows, rows - len(wrong), 0, len(wrong), 0)
    seconds, peaks = time.monotonic() - started, [*peaks, victim.memory("VmHWM")]
    assert faults(victim, path) == wrong
    peaks.append(victim.memory("VmHWM"))
    again = begun(victim, file)
    assert ended(victim, again) == ("done", rows, 0, rows - len(wrong), len(wrong), 0)
    assert faults(victim, again) == wrong
    peaks.append(victim.memory("VmHWM"))
    for name, value in {
        "rows": rows,
        "rejected": len(wrong),
        "rows/s": round(rows / seconds),
        "MiB held before": round(before),
        "MiB more at most, after a tenth / done / errors read / again": [
            round(peak - before) for peak in peaks
        ],
    }.items():
        record_property(name, value)
    assert max(peaks) - before <= CAP
    assert max(peaks) - peaks[0] <= GROWTH
