"""Bodies of imports as private files, durable before they are acknowledged."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from services.ingest.adapters.import_lines import FileLines
from services.ingest.adapters.import_records import FileRecords
from services.ingest.adapters.import_writer import BodyWriter
from services.ingest.app.imports import Encoding
from services.ingest.app.inflate import PIECE, Inflate
from services.ingest.domain.mapping.document import Dialect
from services.ingest.settings import IngestSettings

_PART = ".part"


class ImportFiles:
    """`Bodies` in one folder. API and workers of one installation share it."""

    def __init__(self, folder: Path, settings: IngestSettings) -> None:
        self._folder, self._settings = folder, settings

    async def receive(
        self,
        import_id: UUID,
        stream: AsyncIterator[bytes],
        encoding: Encoding,
        until: ExitStack | None = None,
    ) -> tuple[str, int]:
        """Store a body; returns its name and size once file and folder are on disk. No sweep takes
        it before `until` is closed, by when its import has to be known."""
        name = f"{import_id}.ndjson"
        part = self._folder / (name + _PART)
        with ExitStack() as held:
            file = held.enter_context(await asyncio.to_thread(self._create, part))
            try:
                size = await self._write(file, stream, self._inflate(encoding))
                await asyncio.to_thread(_publish, part, self._folder / name)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            if until is not None:
                until.push(held.pop_all())
        return name, size

    def open(self, path: str, encoding: Encoding) -> FileLines:
        return FileLines((self._folder / path).open("rb"), self._inflate(encoding))

    def open_table(self, path: str, encoding: Encoding, dialect: Dialect) -> FileRecords:
        file = (self._folder / path).open("rb")
        return FileRecords(file, self._inflate(encoding), dialect)

    def remove(self, path: str) -> None:
        (self._folder / path).unlink(missing_ok=True)

    def remove_parts(self) -> None:
        """Those that a process which is gone was receiving."""
        for file in self._files():
            if file.suffix == _PART:
                with suppress(BlockingIOError, FileNotFoundError), _unless_held(file):
                    file.unlink()

    def unheld(self, before: float) -> Sequence[str]:
        """Whole bodies whose upload is over, or its process gone, and to which nobody has written
        since `before` (seconds since 1970). Of some the import may run."""
        whole = (file for file in self._files() if file.suffix != _PART)
        return [file.name for file in whole if _is_left(file, before)]

    async def _write(
        self, file: BinaryIO, stream: AsyncIterator[bytes], inflate: Inflate | None
    ) -> int:
        writer = BodyWriter(file, inflate, self._settings.max_import_bytes, self._room)
        async for block in _blocks(stream):
            await asyncio.to_thread(writer.write, block)
        await asyncio.to_thread(writer.finish)
        return writer.size

    def _create(self, part: Path) -> BinaryIO:
        """A new file, locked until it is closed or its process is gone: so a sweep tells them
        apart. A sweep that comes between its making and the lock takes it, hence again."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            file = os.fdopen(handle, "wb", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:
                return file
            file.close()

    def _room(self) -> int:
        """Bytes that the folder still takes; a file may go while its size is asked for."""
        used = 0
        for file in self._files():
            with suppress(FileNotFoundError):
                used += file.stat().st_size
        return self._settings.max_import_folder_bytes - used

    def _files(self) -> list[Path]:
        return [f for f in self._folder.glob("*.ndjson*") if f.is_file()]

    def _inflate(self, encoding: Encoding) -> Inflate | None:
        if encoding == "identity":
            return None
        return Inflate(self._settings.max_import_bytes, self._settings.max_inflate_ratio)


async def _blocks(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Small pieces from the network, joined, so that the disk sees few writes."""
    held = bytearray()
    async for piece in stream:
        held += piece
        if len(held) >= PIECE:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


@contextmanager
def _unless_held(path: Path) -> Iterator[None]:
    """Raises `BlockingIOError` if a process that lives holds it. Else it is held inside, so that
    who is just making the file notices what happens to it."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _is_left(file: Path, before: float) -> bool:
    try:
        with _unless_held(file):
            return file.stat().st_mtime < before
    except (BlockingIOError, FileNotFoundError):
        return False


def _publish(part: Path, target: Path) -> None:
    part.rename(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
