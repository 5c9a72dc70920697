"""The spool on disk: order, torn tails, damage, limits, position, locks."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.ingest.adapters.spool.files import KEPT, SpoolFiles, SpoolLimits
from services.ingest.adapters.spool.folder import Folder, Taken
from services.ingest.adapters.spool.stores import SpoolFolders
from services.ingest.app.ports import Place, SpoolFull
from services.ingest.domain.frames import candidate_of, framed
from tests.unit.ingest.spool.frames import candidate

FRAMES = [framed(candidate(n)) for n in range(6)]
ROOMY = SpoolLimits(total=1_000_000, segment=100_000)


def spool(path: Path, limits: SpoolLimits = ROOMY) -> SpoolFiles:
    return SpoolFiles(Folder(path), limits)


def ids(files: SpoolFiles) -> list[str]:
    return [candidate_of(payload).envelope.id for _, payload in files.frames()]


def filled(path: Path, frames: Sequence[bytes] = FRAMES) -> None:
    files = spool(path)
    files.append(frames)
    files.close()


def segment(path: Path) -> Path:
    return next(path.glob("*.seg"))


def test_frames_come_back_in_order_also_to_another_process(tmp_path: Path) -> None:
    files = spool(tmp_path)
    files.append(FRAMES[:2])
    files.append(FRAMES[2:])
    assert ids(files) == [f"e-{n}" for n in range(6)]
    files.close()
    assert ids(spool(tmp_path)) == [f"e-{n}" for n in range(6)]


def test_what_is_dropped_is_gone_and_the_rest_stays(tmp_path: Path) -> None:
    files = spool(tmp_path)
    files.append(FRAMES)
    places = [place for place, _ in files.frames()]
    files.drop(places[3])
    assert ids(files) == ["e-4", "e-5"]
    files.close()
    assert ids(spool(tmp_path)) == ["e-4", "e-5"]


def test_a_lost_position_repeats_and_loses_nothing(tmp_path: Path) -> None:
    files = spool(tmp_path)
    files.append(FRAMES)
    files.drop(next(iter(files.frames()))[0])
    files.close()
    (tmp_path / "position").write_bytes(b"[1")
    assert ids(spool(tmp_path)) == [f"e-{n}" for n in range(6)]


def test_segments_roll_and_drained_ones_are_removed(tmp_path: Path) -> None:
    files = spool(tmp_path, SpoolLimits(1_000_000, len(FRAMES[0]) * 2))
    for frame in FRAMES:
        files.append([frame])
    assert len(list(tmp_path.glob("*.seg"))) == 3
    places = [place for place, _ in files.frames()]
    files.drop(places[4])
    assert ids(files) == ["e-5"]
    assert len(list(tmp_path.glob("*.seg"))) == 1
    files.append(FRAMES[:1])
    assert ids(files) == ["e-5", "e-0"], "numbers go on after removal"


def test_a_torn_tail_is_cut_and_writing_goes_on(tmp_path: Path) -> None:
    filled(tmp_path)
    path = segment(tmp_path)
    os.truncate(path, path.stat().st_size - 3)
    files = spool(tmp_path)
    files.append(FRAMES[:1])
    assert ids(files) == ["e-0", "e-1", "e-2", "e-3", "e-4", "e-0"]
    assert not (tmp_path / "damaged").exists()


def test_a_flipped_byte_is_kept_aside_once_and_the_others_pass(tmp_path: Path) -> None:
    filled(tmp_path)
    path, at = segment(tmp_path), len(FRAMES[0]) + 40
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    files = spool(tmp_path)
    for _ in range(2):
        assert ids(files) == ["e-0", "e-2", "e-3", "e-4", "e-5"]
    (kept,) = (tmp_path / "damaged").iterdir()
    assert kept.read_bytes() == bytes(content[len(FRAMES[0]) : 2 * len(FRAMES[0])])


def test_full_by_its_limit(tmp_path: Path) -> None:
    files = spool(tmp_path, SpoolLimits(len(FRAMES[0]) * 2, 100_000))
    files.append(FRAMES[:2])
    with pytest.raises(SpoolFull, match="holds"):
        files.append(FRAMES[2:3])
    assert ids(files) == ["e-0", "e-1"]


def test_a_failed_write_leaves_whole_frames_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = spool(tmp_path)
    files.append(FRAMES[:2])
    write = os.pwrite

    def half(file: int, data: memoryview, at: int) -> int:
        write(file, data[: len(data) // 2], at)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(SpoolFull, match="No space left"):
        files.append(FRAMES[2:4])
    monkeypatch.undo()
    files.append(FRAMES[4:])
    assert ids(files) == ["e-0", "e-1", "e-4", "e-5"]


def test_a_file_that_cannot_be_mended_is_left_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = spool(tmp_path)
    files.append(FRAMES[:1])

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    monkeypatch.setattr(os, "ftruncate", broken)
    with pytest.raises(SpoolFull):
        files.append(FRAMES[1:2])
    monkeypatch.undo()
    files.append(FRAMES[2:3])
    assert ids(files)[0] == "e-0"
    assert ids(files)[-1] == "e-2"


def test_files_are_private(tmp_path: Path) -> None:
    filled(tmp_path / "s")
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    assert segment(tmp_path / "s").stat().st_mode & 0o777 == 0o600


def test_a_folder_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    held = Folder(tmp_path)
    with pytest.raises(Taken):
        Folder(tmp_path)
    name = held.name
    held.close()
    assert Folder(tmp_path).name == name


def test_each_process_gets_a_folder_and_finds_what_was_left(tmp_path: Path) -> None:
    folders = SpoolFolders(tmp_path, ROOMY)
    first, second = folders.own(), folders.own()
    assert first.name != second.name
    second.append(FRAMES[:1])
    assert folders.orphan() is None, "both are held"
    second.close()
    third = folders.own()
    assert (third.name, ids(third)) == (second.name, ["e-0"])
    third.close()
    orphan = folders.orphan()
    assert orphan is not None
    assert ids(orphan) == ["e-0"]


def drain(files: SpoolFiles) -> None:
    files.drop(list(files.frames())[-1][0])


def test_a_drained_folder_is_no_orphan_again(tmp_path: Path) -> None:
    folders = SpoolFolders(tmp_path, ROOMY)
    own = folders.own()
    filled(tmp_path / "1")
    orphan = folders.orphan()
    assert orphan is not None
    drain(orphan)
    orphan.close()
    assert folders.orphan() is None, "it would be taken again and again"
    own.close()


def test_a_folder_with_damage_alone_is_no_orphan_again(tmp_path: Path) -> None:
    folders = SpoolFolders(tmp_path, ROOMY)
    own = folders.own()
    filled(tmp_path / "1", FRAMES[:1])
    path = segment(tmp_path / "1")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    orphan = folders.orphan()
    assert orphan is not None
    assert ids(orphan) == []
    orphan.close()
    assert folders.orphan() is None
    assert len(list((tmp_path / "1" / "damaged").iterdir())) == 1
    own.close()


def test_what_is_drained_gives_its_room_back_before_its_file_is_full(tmp_path: Path) -> None:
    files = spool(tmp_path, SpoolLimits(10_000_000, 5_000_000))
    files.append(FRAMES * (KEPT // len(FRAMES[0])))
    drain(files)
    assert files.size == 0
    files.append(FRAMES[:1])
    files.close()
    assert ids(spool(tmp_path)) == ["e-0"]


def test_a_full_disk_can_be_drained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = spool(tmp_path, SpoolLimits(1_000_000, len(FRAMES[0]) * 2))
    for frame in FRAMES:
        files.append([frame])

    def full(_: Folder, place: Place) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "advance", full)
    places = [place for place, _ in files.frames()]
    files.drop(places[4])
    assert ids(files) == ["e-5"]
    assert len(list(tmp_path.glob("*.seg"))) == 1


def test_bytes_that_were_half_kept_aside_are_kept_whole_by_the_next(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "a.new").write_bytes(b"h")
    assert folder.keep_aside("a", b"half")
    assert not folder.keep_aside("a", b"half")
    assert [path.read_bytes() for path in (tmp_path / "damaged").iterdir()] == [b"half"]
