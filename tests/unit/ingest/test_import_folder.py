"""The folder of imports: uploads at once share its cap, and files may go meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from services.ingest.adapters import import_writer
from services.ingest.adapters.import_files import ImportFiles
from services.ingest.app.imports import FolderFull
from services.ingest.app.inflate import PIECE
from services.ingest.settings import IngestSettings

CAP = 4 * PIECE


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImportFiles:
    monkeypatch.setattr(import_writer, "LOOK_EACH", PIECE)
    return ImportFiles(tmp_path, replace(IngestSettings(), max_import_folder_bytes=CAP))


async def body(pieces: int) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield b"x" * PIECE
        await asyncio.sleep(0)


async def test_uploads_at_once_share_the_room(files: ImportFiles, tmp_path: Path) -> None:
    uploads = [files.receive(UUID(int=n), body(3), "identity") for n in range(4)]
    ends = await asyncio.gather(*uploads, return_exceptions=True)
    full = [end for end in ends if isinstance(end, FolderFull)]
    assert len(full) >= 2, "each of them alone would fit"
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= CAP
    assert len(list(tmp_path.iterdir())) == len(ends) - len(full)


async def test_what_is_full_takes_again_what_fits(files: ImportFiles) -> None:
    name, _ = await files.receive(UUID(int=1), body(3), "identity")
    with pytest.raises(FolderFull):
        await files.receive(UUID(int=2), body(2), "identity")
    files.remove(name)
    assert await files.receive(UUID(int=2), body(4), "identity") == (
        f"{UUID(int=2)}.ndjson", 4 * PIECE,
    )  # fmt: skip


async def test_a_file_may_go_while_the_room_is_looked_at(
    files: ImportFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone.ndjson"
    monkeypatch.setattr(files, "_files", lambda: [gone])
    assert await files.receive(UUID(int=1), body(1), "identity")
