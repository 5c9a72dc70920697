"""One file of the spool: frames behind each other, durable when `append` returns."""

import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from libs.common import faults
from services.ingest.domain.frames import Damage, Frame, scan

_PRIVATE = 0o600


class SegmentBroken(OSError):
    """The file cannot be brought back to its last whole frame: nothing may follow in it."""


class Segment:
    """An append-only file; blocking, for a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE)
        self.size = os.fstat(self._file).st_size

    @property
    def number(self) -> int:
        return int(self.path.stem)

    def append(self, frames: Sequence[bytes]) -> None:
        """Durable, or not there: after a failure the file ends with its last whole frame."""
        data = b"".join(frames)
        try:
            _write_all(self._file, data, self.size)
            faults.hit("ingest.spool.written")
            os.fdatasync(self._file)
        except OSError:
            self._cut(self.size)
            raise
        self.size += len(data)

    def scan(self, start: int = 0) -> Iterator[Frame | Damage]:
        """Everything that was durable at the call, from byte `start` on."""
        if self.size > start:
            with mmap.mmap(self._file, self.size, access=mmap.ACCESS_READ) as content:
                yield from scan(content, start)

    def read(self, start: int, end: int) -> bytes:
        return os.pread(self._file, end - start, start)

    def cut(self, size: int) -> None:
        """Take away the end of the file."""
        self._cut(size)
        self.size = size

    def close(self) -> None:
        os.close(self._file)

    def remove(self) -> None:
        self.close()
        self.path.unlink()

    def _cut(self, size: int) -> None:
        try:
            os.ftruncate(self._file, size)
            os.fdatasync(self._file)
        except OSError as error:
            raise SegmentBroken(f"{self.path.name} cannot be cut to {size} bytes") from error


def _write_all(file: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written
