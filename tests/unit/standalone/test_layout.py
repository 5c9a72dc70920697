"""The data directory is its owner's alone, and one process's at a time."""

import os
import stat
from pathlib import Path

import pytest

from services.standalone.layout import DataDirectoryInUse, Layout, read_private, write_private


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_and_keys_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        layout = Layout(tmp_path / "data")
        layout.prepare()
        write_private(layout.operator_key, "hw_1_2")
    finally:
        os.umask(before)
    assert _mode(layout.root) == 0o700
    assert _mode(layout.imports) == 0o700
    assert _mode(layout.operator_key) == 0o600
    assert read_private(layout.operator_key) == "hw_1_2"


def test_a_folder_above_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    Layout(tmp_path / "data").prepare()
    assert _mode(tmp_path) == 0o711


def test_a_key_is_replaced_whole_and_no_draft_stays(tmp_path: Path) -> None:
    file = tmp_path / "key"
    (tmp_path / ".key.new").write_text("half")
    write_private(file, "one")
    write_private(file, "two")
    assert read_private(file) == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert read_private(tmp_path / "none") is None


def test_a_second_owner_is_refused_with_the_firsts_pid(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    refused = pytest.raises(DataDirectoryInUse, match=f"pid {os.getpid()}")
    with layout.owned(), refused, Layout(tmp_path).owned():
        pass
    with layout.owned():
        assert layout.lock.read_text() == str(os.getpid())
