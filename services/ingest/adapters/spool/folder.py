"""A folder of the spool: its lock, its segments in order, its position, what was damaged."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import orjson

from libs.common.ids import secret
from services.ingest.adapters.spool.segment import Segment
from services.ingest.app.ports import Place

_PRIVATE = 0o700


class Taken(Exception):
    """Another process works on this folder."""


class Folder:
    """Blocking. Holds an exclusive lock until `close`; a dead process's lock is gone with it."""

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        self.path = path
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise Taken(str(path)) from None
        self._name = self._named()

    def _named(self) -> str:
        path = self.path / "name"
        if not path.exists():
            _replace_durably(path, secret(12).encode())
        return path.read_text()

    @property
    def name(self) -> str:
        """The same for every process that ever holds it, another one for every other folder."""
        return self._name

    def segments(self) -> Iterator[Segment]:
        """Those that are there, oldest first."""
        for path in sorted(self.path.glob("*.seg")):
            yield Segment(path)

    def new_segment(self, number: int) -> Segment:
        segment = Segment(self.path / f"{number:010d}.seg")
        _sync_folder(self.path)
        return segment

    def position(self) -> Place:
        """Up to where frames are in the log. May lag behind: those are appended again."""
        try:
            segment, at = orjson.loads((self.path / "position").read_bytes())
            return int(segment), int(at)
        except (OSError, ValueError, TypeError):
            return 0, 0

    def advance(self, place: Place) -> None:
        """Replace the position at once; not synced, since losing it repeats and loses nothing."""
        written = self.path / "position.new"
        written.write_bytes(orjson.dumps(place))
        written.replace(self.path / "position")

    def keep_aside(self, name: str, content: bytes, folder_name: str = "damaged") -> bool:
        """Bytes that are of no use as they are, for whoever mends them; whether they are new.

        Whole and durable or not there: the file that they come from may be removed next.
        """
        folder = self.path / folder_name
        folder.mkdir(mode=_PRIVATE, exist_ok=True)
        if (folder / name).exists():
            return False
        _replace_durably(folder / name, content)
        return True

    def close(self) -> None:
        os.close(self._lock)


def _replace_durably(path: Path, content: bytes) -> None:
    """Whole and durable, or as it was."""
    written = path.with_name(f"{path.name}.new")
    written.unlink(missing_ok=True)
    written.touch(mode=0o600)
    with written.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
