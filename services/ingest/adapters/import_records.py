"""Records of a stored table, in constant memory."""

import codecs
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO

from services.ingest.adapters.import_lines import blocks, cut
from services.ingest.app.inflate import Inflate
from services.ingest.domain.mapping.dialect import Record, records
from services.ingest.domain.mapping.document import Dialect

_BOM = "\ufeff"


class FileRecords:
    """`Records` over an open file; `inflate` where the body is gzip."""

    def __init__(self, file: BinaryIO, inflate: Inflate | None, dialect: Dialect) -> None:
        self._file = file
        texts = _decoded(blocks(file, inflate), dialect.encoding)
        self._records = records(cut(texts, "\n"), dialect)

    def header(self) -> Record | None:
        return next(self._records, None)

    def skip(self, count: int) -> None:
        for _ in islice(self._records, count):
            pass

    def read(self, max_lines: int, max_bytes: int) -> Sequence[Record]:
        """The next rows: at most `max_lines`, and no more once they exceed `max_bytes`."""
        found: list[Record] = []
        size = 0
        while len(found) < max_lines and size < max_bytes:
            record = next(self._records, None)
            if record is None:
                break
            found.append(record)
            size += len(record.text)
        return found

    def close(self) -> None:
        self._file.close()


def _decoded(pieces: Iterator[bytes], encoding: str) -> Iterator[str]:
    """Text, without a mark of byte order. What is none stays recognisable, so that its row alone
    is refused: as a lone surrogate, or of UTF-16 as U+FFFD."""
    errors = "replace" if encoding.startswith("utf-16") else "surrogateescape"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    first = True
    for piece in pieces:
        if text := decoder.decode(piece):
            yield text.removeprefix(_BOM) if first else text
            first = False
    if text := decoder.decode(b"", final=True):
        yield text
