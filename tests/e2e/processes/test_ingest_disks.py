"""Disks of the front door: the broker's is full, the spool's is full, a byte of the spool turns."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from libs.common.db.embedded import EmbeddedPostgres
from libs.common.eventlog.kafka_broker import KafkaBroker, listens
from libs.common.eventlog.kafka_jars import KafkaMissing
from libs.common.testing.fixtures import give_up
from tests.e2e.processes.conftest import World, scene_on
from tests.e2e.processes.damage import fill, flip, tmpfs
from tests.e2e.processes.outage import FRESH, Outages
from tests.e2e.processes.stack import Process, until

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.fault]
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The broker's."""
    with tmpfs(tmp_path_factory.mktemp("broker"), "256m") as mounted:
        yield mounted


@pytest.fixture(scope="module")
def world(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """As elsewhere, but for the broker's small disk."""
    folder = tmp_path_factory.mktemp("world")
    postgres, broker = EmbeddedPostgres(folder / "pg"), KafkaBroker(disk)
    try:
        broker.start()
        postgres.start()
        with scene_on(postgres.url("postgres"), broker.server, folder) as scene:
            yield World(scene, broker, postgres)
    except KafkaMissing as missing:
        give_up(missing)
    finally:
        postgres.stop()
        broker.kill()


@pytest.mark.timeout(600)
def test_the_broker_s_disk_is_full_for_a_while(outages: Outages, disk: Path) -> None:
    with outages.begun(padding=4_000) as outage:
        filler = fill(disk, left=2 * MIB)
        until("the broker gives up", lambda: not listens(outages.broker.port), 120)
        outage.lasts(15)
        filler.unlink()
        outages.broker.kill()
        outages.back()
        outage.ends()
    assert outage.traffic.refused == []


@pytest.mark.timeout(600)
def test_the_spool_s_disk_is_full_while_the_broker_is_away(outages: Outages) -> None:
    with tmpfs(outages.folder / "spool", "3m"), outages.begun(padding=4_000) as outage:
        outages.broker.kill()
        until("senders are refused", lambda: len(outage.traffic.refused) >= 20, 90)
        outage.looks()
        assert outage.ingest.exit_code is None
        assert "no more" in _readiness(outage.ingest, 503)
        outages.back()
        outage.ends()
        _readiness(outage.ingest, 200)
    codes = {code for code, _ in outage.traffic.refused}
    assert codes == {"log_unavailable"}
    assert all(wait is not None and int(wait) > 0 for _, wait in outage.traffic.refused)


@pytest.mark.timeout(600)
def test_the_spool_s_disk_is_full_while_the_broker_is_well(outages: Outages) -> None:
    """The sample of keys that takes the spool's way always goes to the log instead."""

    def refuses(told: int) -> bool:
        return outage.ingest.metric("headway_spool_refuses") == told

    with tmpfs(outages.folder / "spool", "3m") as disk, outages.begun(padding=4_000) as outage:
        filler = fill(disk, left=0)
        until("the spool takes nothing", lambda: refuses(1), 90)
        assert "no more" in _readiness(outage.ingest, 200)
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
        outages.broker.kill()
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
