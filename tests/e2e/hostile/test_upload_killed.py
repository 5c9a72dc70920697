"""SIGKILL while a large body is being received: nothing of it is imported, nothing is left on disk
once Headway runs again, and the whole file sent again counts once."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.hostile.file_of_rows import FileOfRows
from tests.e2e.hostile.importing import NDJSON, begun, bodies, ended, faults
from tests.e2e.hostile.raw import connect
from tests.e2e.hostile.victim import Victim
from tests.e2e.processes.stack import until

pytestmark = [
    pytest.mark.e2e, pytest.mark.postgres, pytest.mark.scale, pytest.mark.timeout(1_800),
]  # fmt: skip
MIB = 1024 * 1024
SIZE = int(os.environ.get("HEADWAY_TEST_UPLOAD_MIB", "256")) * MIB


@contextmanager
def half_sent(victim: Victim, file: FileOfRows) -> Iterator[None]:
    """Inside, the half of this file is sent, and the connection stands."""
    size = sum(map(len, file))
    kind, length = f"Content-Type: {NDJSON}", f"Content-Length: {size}"
    with connect(victim.port) as opened:
        opened.sendall(victim.head("POST", "/v1/imports", kind, length))
        sent = 0
        for row in file:
            if sent >= size // 2:
                break
            opened.sendall(row)
            sent += len(row)
        yield


def test_nothing_is_imported_or_left_and_sent_again_it_counts_once(
    importing: Victim, record_property: Callable[[str, object], None]
) -> None:
    victim, file = importing, FileOfRows(SIZE)
    rows, wrong = file.rows, file.wrong
    victim.is_well()
    with half_sent(victim, file):
        until("a quarter is on disk", lambda: sum(_sizes(victim)) > SIZE // 4, 300)
        victim.headway.kill()
    (left,) = _sizes(victim)
    record_property("MiB on disk when killed", round(left / MIB))
    victim.again()
    until("what was left is gone", lambda: bodies(victim) == [], 60)
    assert victim.http.get("/v1/imports").json()["items"] == []
    assert ended(victim, begun(victim, file)) == (
        "done", rows, rows - len(wrong), 0, len(wrong), 0,
    )  # fmt: skip
    again = begun(victim, file)
    assert ended(victim, again) == ("done", rows, 0, rows - len(wrong), len(wrong), 0)
    assert faults(victim, again) == wrong
    until("no body is left", lambda: bodies(victim) == [], 60)


def _sizes(victim: Victim) -> list[int]:
    return [file.stat().st_size for file in bodies(victim)]
