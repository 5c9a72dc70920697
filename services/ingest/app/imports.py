"""Imports: what is kept about one, and what running one asks of the world."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from libs.common.contracts.envelope import Origin
from services.ingest.app.ports import Appended
from services.ingest.domain.model import Candidate, EventKey, Receipt, Recorded
from services.ingest.domain.rows import Line, RowError

Encoding = Literal["identity", "gzip"]


class BadUpload(Exception):
    """A body that is not what its encoding says."""


class UploadTooLarge(Exception):
    """A body that exceeds the limit, as sent or inflated."""


class FolderFull(Exception):
    """The folder of imports holds as much as it may."""


class ClaimLost(Exception):
    """Another worker holds the import, or has gone on from where we are."""


@dataclass(frozen=True, slots=True)
class NewImport:
    """An import whose body is stored durably as `path` inside the folder of imports."""

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


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by verdict; `rows` is the checkpoint as well: so many lines are done."""

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


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What one chunk adds; committed at once with the checkpoint."""

    counts: Counts
    appended: Sequence[Appended]
    dry: Sequence[Candidate]
    conflicts: Sequence[Candidate]
    errors: Sequence[RowError]


class Claims(Protocol):
    """Imports in the database, as a worker sees them. Raises `IndexUnavailable`, `ClaimLost`."""

    async def claim(self) -> Claim | None:
        """Take a running import that nobody holds, oldest first."""
        ...

    async def known(self, claim: Claim, keys: Sequence[EventKey]) -> dict[EventKey, bytes]:
        """Hashes of earlier events; a dry run also remembers its own rows."""
        ...

    async def commit(self, claim: Claim, result: ChunkResult) -> Claim:
        """One transaction: index, conflicts, errors, counts; only if the claim still stands."""
        ...

    async def finish(self, claim: Claim, failure: str | None) -> None: ...

    async def release(self, claim: Claim) -> None:
        """Let the next worker go on at once."""
        ...


class Lines(Protocol):
    """An import's lines in order. Blocking: called from a thread."""

    def skip(self, count: int) -> None: ...

    def read(self, max_lines: int, max_bytes: int) -> Sequence[Line]: ...

    def close(self) -> None: ...


class Bodies(Protocol):
    """Stored bodies."""

    def open(self, path: str, encoding: Encoding) -> Lines: ...

    def remove(self, path: str) -> None: ...
