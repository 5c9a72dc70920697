"""The spool above its store: a slow disk, damage that comes while it runs, deadlines."""

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from libs.common.clock import FakeClock
from services.ingest.adapters.spool.files import SpoolFiles, SpoolLimits
from services.ingest.adapters.spool.folder import Folder
from services.ingest.app.ports import SpoolFull
from services.ingest.app.spool import Spool
from services.ingest.domain.frames import candidate_of
from services.ingest.settings import IngestSettings
from tests.unit.ingest.spool.frames import START, candidate

SETTINGS = IngestSettings(spool_sample=0, spool_deadline=30)
HURRIED = replace(SETTINGS, spool_deadline=0.5)


class SlowFiles(SpoolFiles):
    """Writes wait until they are let go; `most` is how many were under way at once."""

    def __init__(self, path: Path) -> None:
        super().__init__(Folder(path), SpoolLimits(1_000_000, 100_000))
        self.go = threading.Event()
        self.running = self.most = 0

    def append(self, frames: Sequence[bytes]) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        assert self.go.wait(30)
        super().append(frames)
        self.running -= 1


def names(frames: Sequence[tuple[object, bytes]]) -> list[str]:
    return [candidate_of(payload).envelope.id for _, payload in frames]


async def test_a_write_that_outlasts_the_deadline_is_not_overtaken_and_counts(
    tmp_path: Path,
) -> None:
    store = SlowFiles(tmp_path)
    spool = Spool(store, FakeClock(START), HURRIED)
    for number in range(3):
        with pytest.raises(TimeoutError):
            await spool.put([candidate(number)])
    store.go.set()
    await spool.put([candidate(3)])
    assert store.most == 1, "two writes at once damage each other"
    assert (len(spool), names(await spool.head(10))) == (2, ["e-0", "e-3"])
    await spool.close(1)


async def test_damage_that_comes_while_it_runs_leaves_nothing_waiting(tmp_path: Path) -> None:
    store = SpoolFiles(Folder(tmp_path), SpoolLimits(1_000_000, 100_000))
    spool = Spool(store, FakeClock(START), SETTINGS)
    await spool.put([candidate(n) for n in range(3)])
    path = next(tmp_path.glob("*.seg"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    frames = await spool.head(10)
    assert names(frames) == ["e-0", "e-2"]
    await spool.drop(frames)
    assert await spool.head(10) == []
    await spool.recount()
    assert (len(spool), spool.oldest, spool.takes(candidate(9))) == (0, None, False)
    await spool.close(1)


async def test_a_disk_that_takes_no_more_is_told_until_it_takes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(
        SpoolFiles(Folder(tmp_path), SpoolLimits(1_000_000, 100_000)), FakeClock(START), SETTINGS
    )

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(SpoolFull):
        await spool.put([candidate(0)])
    assert "takes no more" in (spool.refuses() or "")
    monkeypatch.undo()
    await spool.put([candidate(1)])
    assert spool.refuses() is None
    await spool.close(1)
