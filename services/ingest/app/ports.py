"""What acceptance asks of the world."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.ingest.domain.model import Candidate, EventKey


class IndexUnavailable(Exception):
    """The dedup index does not answer: acceptance goes on without it."""


@dataclass(frozen=True, slots=True)
class Appended:
    """A candidate and where in the log it lies."""

    candidate: Candidate
    partition: int
    offset: int


class Index(Protocol):
    """The dedup index and the conflicts kept beside it; raises `IndexUnavailable`."""

    async def known(self, keys: Sequence[EventKey]) -> Mapping[EventKey, bytes]:
        """Body hashes of the keys that were accepted before."""
        ...

    async def write(self, appended: Sequence[Appended]) -> None:
        """Remember what was accepted; a key that is there already stays as it is."""
        ...

    async def keep_conflicts(self, conflicts: Sequence[Candidate], at: datetime) -> None:
        """Keep events whose id belongs to another body. Repetitions are kept once."""
        ...


class Sandboxes(Protocol):
    """Which tenants have a clock of their own; raises `IndexUnavailable`."""

    async def has(self, tenant_id: str) -> bool: ...
