"""The disk of the spool: it is full, with the broker away or there; one byte of it turns."""

import errno
import os
import re
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes.damage import fill, flip, full, tmpfs
from tests.e2e.processes.outage import FRESH, Outage, Outages
from tests.e2e.processes.stack import Process, until

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.fault]
MIB = 1024 * 1024
LARGE = 20_000
"""Bytes of an event that fill a disk in seconds."""
NO_ROOM = os.strerror(errno.ENOSPC)


@pytest.mark.timeout(600)
def test_the_spool_s_disk_is_full_while_the_broker_is_away(outages: Outages) -> None:
    with tmpfs(outages.folder / "spool", "64m") as disk, outages.begun(padding=LARGE) as outage:
        outages.kills()
        outage.begins()
        until("senders are refused", lambda: len(outage.traffic.refused) >= 20, 120)
        until("none of them is taken", lambda: _none_is_taken(outage), 60)
        outage.findings["MiB on disk"] = held = _mib(outages.folder)
        assert full(disk, 5 * LARGE), "there is room for a batch"
        assert NO_ROOM in _readiness(outage.ingest, 503)
        assert outage.ingest.exit_code is None
        outages.back()
        outage.ends()
        _readiness(outage.ingest, 200)
    assert held >= 60
    codes = {code for code, _ in outage.traffic.refused}
    assert codes == {"log_unavailable"}
    assert all(wait is not None and int(wait) > 0 for _, wait in outage.traffic.refused)


def _none_is_taken(outage: Outage) -> bool:
    """While each sender is refused again and again."""
    traffic = outage.traffic
    accepted, refused = traffic.accepted, len(traffic.refused)
    until("senders are refused", lambda: len(traffic.refused) >= refused + 20)
    return traffic.accepted == accepted


def _mib(folder: Path) -> int:
    """What the spool's files hold."""
    return sum(path.stat().st_size for path in folder.glob("spool/*/*.seg")) // MIB


@pytest.mark.timeout(600)
def test_the_spool_s_disk_is_full_while_the_broker_is_well(outages: Outages) -> None:
    """The sample of keys that takes the spool's way always goes to the log instead."""

    def refuses(told: int) -> bool:
        return outage.ingest.metric("headway_spool_refuses") == told

    with tmpfs(outages.folder / "spool", "64m") as disk, outages.begun(padding=4_000) as outage:
        filler = fill(disk, left=0)
        until("the spool takes nothing", lambda: refuses(1), 90)
        assert full(disk, 2 * 4_000)
        assert NO_ROOM in outage.ingest.log.read_text("utf-8")
        _readiness(outage.ingest, 200)
        outage.goes_on(10)
        filler.unlink()
        until("the spool is tried again", lambda: refuses(0), 60)
        outage.ends()
    assert outage.traffic.refused == []


def _readiness(process: Process, status: int) -> str:
    def answered() -> httpx.Response | None:
        answer = httpx.get(f"{process.url}/readyz", trust_env=False, timeout=20)
        return answer if answer.status_code == status else None

    return until(f"/readyz answers {status}", answered, 30).text  # type: ignore[union-attr]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("restarted", [False, True], ids=["while it runs", "over a restart"])
def test_one_byte_of_the_spool_turns(outages: Outages, restarted: bool) -> None:
    with outages.begun() as outage:
        outages.kills()
        outage.lasts(8)
        if restarted:
            outage.ingest.kill()
        flip(_segment(outages.folder), b'"deal_id"')
        if restarted:
            outage.restart()
        outages.back()
        outage.ends()
        assert outage.ingest.metric("headway_spool_damaged_total") == 1
        (kept,) = outages.folder.glob("spool/*/damaged/*")
        (flagged,) = set(re.findall(rb"S\d+-\d+-\d+", kept.read_bytes()))
        outage.traffic.given_up.add(flagged.decode())
        outage.findings |= {"damaged": 1, "bytes kept": kept.stat().st_size}
    assert {code for code, _ in outage.traffic.refused} <= FRESH


def _segment(folder: Path) -> Path:
    return max(folder.glob("spool/*/*.seg"), key=lambda path: path.stat().st_size)
