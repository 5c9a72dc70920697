"""One body of an import on its way to disk: counted, checked and written. Blocks: for a thread."""

import os
from collections.abc import Callable
from typing import BinaryIO

from services.ingest.app.imports import FolderFull, UploadTooLarge
from services.ingest.app.inflate import Inflate

LOOK_EACH = 8 * 1024 * 1024
"""Bytes after which the folder's room is looked at anew: others receive at the same time."""


class BodyWriter:
    """`room` tells how many more bytes the folder takes, what is in `file` already counted.

    A gzip body is inflated on the way, into nothing, so that a bomb is refused here.
    """

    def __init__(
        self, file: BinaryIO, inflate: Inflate | None, max_bytes: int, room: Callable[[], int]
    ) -> None:
        self._file, self._inflate = file, inflate
        self._max_bytes, self._room = max_bytes, room
        self._left = self._unlooked = 0
        self.size = 0

    def write(self, block: bytes) -> None:
        """Raises `UploadTooLarge`, `FolderFull`, or what `Inflate` raises."""
        self.size += len(block)
        if self.size > self._max_bytes:
            raise UploadTooLarge(f"an import must not exceed {self._max_bytes} bytes")
        self._take(len(block))
        for _ in self._inflate.feed(block) if self._inflate else ():
            pass
        self._put(block)

    def finish(self) -> None:
        if self._inflate:
            self._inflate.finish()
        os.fsync(self._file.fileno())

    def _take(self, size: int) -> None:
        """What several uploads write between two looks is all that the folder may exceed its cap
        by."""
        if size > self._unlooked:
            self._left, self._unlooked = self._room(), LOOK_EACH
        self._left -= size
        self._unlooked -= size
        if self._left < 0:
            raise FolderFull("no room for further imports until running ones are done")

    def _put(self, block: bytes) -> None:
        left = memoryview(block)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise FolderFull(f"the disk refused: {error.strerror}") from error
