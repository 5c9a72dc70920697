"""Streaming gzip with a guard: output is bounded in size and in ratio, piece by piece."""

import zlib
from collections.abc import Iterator

from services.ingest.app.imports import BadUpload, UploadTooLarge

PIECE = 1024 * 1024
_GZIP = 31  # zlib's window bits for a gzip header and trailer


class Inflate:
    """Members of one gzip stream, inflated as they come. Nothing larger than `PIECE` is held."""

    def __init__(self, max_bytes: int, max_ratio: int) -> None:
        self._max_bytes, self._max_ratio = max_bytes, max_ratio
        self._member = zlib.decompressobj(_GZIP)
        self._fresh = True
        self._read = self._written = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Pieces of what `data` inflates to. Raises `BadUpload` or `UploadTooLarge`."""
        self._read += len(data)
        while data:
            try:
                piece = self._member.decompress(data, PIECE)
            except zlib.error as error:
                raise BadUpload(f"not gzip: {error}") from None
            self._fresh = False
            self._guard(len(piece))
            yield piece
            data = self._rest()

    def finish(self) -> None:
        """Tell that the stream has ended; a cut one is refused."""
        if self._fresh or not self._member.eof:
            raise BadUpload("the gzip stream is cut short")

    def _rest(self) -> bytes:
        if not self._member.eof:
            return self._member.unconsumed_tail
        rest = self._member.unused_data.lstrip(b"\0")
        if rest:
            self._member = zlib.decompressobj(_GZIP)
        return rest

    def _guard(self, size: int) -> None:
        self._written += size
        if self._written > self._max_bytes:
            raise UploadTooLarge(f"the body inflates to more than {self._max_bytes} bytes")
        if self._written > self._read * self._max_ratio + PIECE:
            raise UploadTooLarge(f"the body inflates by more than {self._max_ratio} to 1")
