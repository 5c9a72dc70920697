"""Imports: what is kept about one, and what running one asks of the world."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID

from libs.common.contracts.envelope import Origin
from services.ingest.app.ports import Appended
from services.ingest.domain.mapping.dialect import Record
from services.ingest.domain.mapping.document import Dialect
from services.ingest.domain.model import Candidate, EventKey, Receipt, Recorded
from services.ingest.domain.rows import Line, Numbered, RowError

Encoding = Literal["identity", "gzip"]
Media = Literal["ndjson", "csv"]
ERRORS_KEPT_FOR = timedelta(days=30)
"""From the end of their import on; as recorded deliveries are."""
RowT = TypeVar("RowT", bound=Numbered, covariant=True)


class BadUpload(Exception):
    """A body that is not what its encoding says."""


class UploadTooLarge(Exception):
    """A body that exceeds the limit, as sent or inflated."""


class UnusableFile(Exception):
    """A body of which no row can be read: what its mapping or header says does not fit."""


class FolderFull(Exception):
    """The folder of imports holds as much as it may."""


class ClaimLost(Exception):
    """Another worker holds the import, or has gone on from where we are."""


@dataclass(frozen=True, slots=True)
class NewImport:
    """An import whose body is stored durably as `path` inside the folder of imports.

    `mapping` is the id and the version by which its rows are read from the first to the last.
    """

    tenant_id: str
    import_id: UUID
    origin: Origin
    recorded: Recorded
    dry_run: bool
    encoding: Encoding
    path: str
    size: int
    actor: str
    started_at: datetime
    media: Media = "ndjson"
    mapping: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """`rows`, `rejected` and `skipped` count rows, the others events: a row of a mapping may mean
    several. `rows` is the checkpoint as well: so many are done."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    skipped: int = 0

    def plus(self, other: "Counts") -> "Counts":
        return Counts(
            self.rows + other.rows,
            self.accepted + other.accepted,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
            self.skipped + other.skipped,
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """An import that this worker may go on with, and how far it has come."""

    job: NewImport
    counts: Counts

    @property
    def receipt(self) -> Receipt:
        """All rows of one import are recorded at its start."""
        job = self.job
        return Receipt(job.tenant_id, job.started_at, job.origin, job.recorded)

    @property
    def mapping_source(self) -> str:
        """The source of mapped events where the mapping names none: the same in every import."""
        return f"/mappings/{self.job.mapping[0]}" if self.job.mapping else ""


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What one chunk adds; committed at once with the checkpoint."""

    counts: Counts
    appended: Sequence[Appended]
    dry: Sequence[Candidate]
    conflicts: Sequence[Candidate]
    errors: Sequence[RowError]
    sample: Sequence[Candidate] = ()
    """The first events of a dry run; kept with its first chunk that has some."""


class Claims(Protocol):
    """Imports in the database, as a worker sees them. Raises `IndexUnavailable`, `ClaimLost`."""

    async def claim(self) -> Claim | None:
        """Take a running import that nobody holds: tenants in turn, the oldest of each first."""
        ...

    async def known(self, claim: Claim, keys: Sequence[EventKey]) -> dict[EventKey, bytes]:
        """Hashes of earlier events; a dry run also remembers its own rows."""
        ...

    async def commit(self, claim: Claim, result: ChunkResult) -> Claim:
        """One transaction: index, conflicts, errors, counts; only if the claim still stands."""
        ...

    async def mapping(self, claim: Claim) -> Mapping[str, Any]:
        """The version of the mapping that the import is read by."""
        ...

    async def extend(self, claim: Claim) -> None:
        """Hold the claim for another lease; only if it still stands."""
        ...

    async def finish(self, claim: Claim, failure: str | None) -> bool:
        """End the import; `False` where it is not this worker's any more, or has ended already."""
        ...

    async def release(self, claim: Claim) -> None:
        """Let the next worker go on at once."""
        ...


class Lines(Protocol[RowT]):
    """An import's rows in order. Blocking: called from a thread."""

    def skip(self, count: int) -> None: ...

    def read(self, max_lines: int, max_bytes: int) -> Sequence[RowT]: ...

    def close(self) -> None: ...


class Records(Lines[Record], Protocol):
    """Rows of a table, behind its header."""

    def header(self) -> Record | None:
        """The first row, before any other is read; `None` of an empty file."""
        ...


class Bodies(Protocol):
    """Stored bodies."""

    def open(self, path: str, encoding: Encoding) -> Lines[Line]: ...

    def open_table(self, path: str, encoding: Encoding, dialect: Dialect) -> Records: ...

    def remove(self, path: str) -> None: ...
