"""Importing a file: upload it as a stream, then follow its rows."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.standalone.client.api import Api

_CHUNK = 256 * 1024
_POLL_SECONDS = 0.3
_TYPES = {".ndjson": "application/x-ndjson", ".jsonl": "application/x-ndjson", ".csv": "text/csv"}


class UnknownFileType(Exception):
    """The file's name does not say what is in it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and how it is to be imported."""

    file: Path
    query: Mapping[str, Any] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """Content type by suffix; `.gz` at the end means that it is compressed."""
        packed = self.file.suffix == ".gz"
        suffix = Path(self.file.stem).suffix if packed else self.file.suffix
        if suffix not in _TYPES:
            known = ", ".join(_TYPES)
            raise UnknownFileType(f"{self.file.name}: expected {known}, or one of them with .gz")
        encoding = {"Content-Encoding": "gzip"} if packed else {}
        return {"Content-Type": _TYPES[suffix]} | encoding

    async def chunks(self, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
        """The bytes; `sent` is told how many each time."""
        with await asyncio.to_thread(self.file.open, "rb") as source:
            while chunk := await asyncio.to_thread(source.read, _CHUNK):
                yield chunk
                sent(len(chunk))


async def start(api: Api, upload: Upload, sent: Callable[[int], None]) -> str:
    """Upload; answers the id of the import."""
    answer = await api.upload("/v1/imports", upload.chunks(sent), upload.headers, upload.query)
    return str(answer["import_id"])


async def follow(
    api: Api, import_id: str, seen: Callable[[Mapping[str, Any]], None]
) -> Mapping[str, Any]:
    """Wait until the import has ended, telling `seen` how far it is; answers its last state."""
    while True:
        state: Mapping[str, Any] = await api.get(f"/v1/imports/{import_id}")
        seen(state)
        if state["state"] != "running":
            return state
        await asyncio.sleep(_POLL_SECONDS)
