"""What acceptance asks of the world."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Protocol

from services.ingest.domain.model import Candidate, EventKey
from services.ingest.domain.put_aside import PutAside


class IndexUnavailable(Exception):
    """The dedup index does not answer: acceptance goes on without it."""


class Unkeepable(Exception):
    """What is to be kept is itself at fault: no trying again helps."""


class SpoolFull(Exception):
    """The spool takes no more: nothing is promised."""


@dataclass(frozen=True, slots=True)
class Appended:
    """A candidate and where in the log it lies; nowhere yet while it is in the spool."""

    candidate: Candidate
    partition: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class RefusedByLog:
    """A candidate that the log refuses for good, and the log's reason."""

    candidate: Candidate
    reason: str


Place = tuple[int, int]
"""Where a frame of the spool ends; opaque, ordered."""


class SpoolStore(Protocol):
    """Durable frames in order. Blocking; one thread appends while another reads and drops.

    `name` stays the same from process to process, `size` is what lies on disk, in bytes.
    """

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    def append(self, frames: Sequence[bytes]) -> None:
        """Durable when it returns; raises `SpoolFull`."""
        ...

    def frames(self) -> Iterator[tuple[Place, bytes]]:
        """From the oldest that was not dropped: the place behind each, and its payload."""
        ...

    def drop(self, place: Place) -> None:
        """Forget all before `place`."""
        ...

    def refuse(self, place: Place, payload: bytes) -> str | None:
        """Keep what a frame that ends at `place` holds in a file, whole and durable, for whoever
        mends it. Its path, or `None` if it is there already."""
        ...

    def close(self) -> None: ...


class SpoolStores(Protocol):
    """Where stores come from; each belongs to one process at a time. Blocking."""

    def own(self) -> SpoolStore:
        """One to write to, with what an earlier process left in it."""
        ...

    def orphan(self) -> SpoolStore | None:
        """One that nobody holds and that is not empty."""
        ...


class Index(Protocol):
    """The dedup index and what the log refuses; raises `IndexUnavailable`."""

    async def known(self, keys: Sequence[EventKey]) -> Mapping[EventKey, bytes]:
        """Body hashes of the keys that were accepted before."""
        ...

    async def write(self, appended: Sequence[Appended]) -> None:
        """Remember what was accepted; a key that is there already only learns its place."""
        ...

    async def keep_refused(self, refused: Candidate, at: datetime, detail: str) -> None:
        """Keep an accepted event that the log refuses for good."""
        ...


class Keeper(Protocol):
    """Keeps what a delivery brings besides events; raises `IndexUnavailable` or `Unkeepable`."""

    async def keep(self, aside: PutAside) -> None:
        """Durable when it returns. A letter that is there already is kept once."""
        ...


class PromptKeeper(Protocol):
    """Keeps for requests; raises `SpoolFull` or `TimeoutError`."""

    async def keep(self, aside: PutAside, within: float = inf) -> None:
        """Durable when it returns, which it does within so many seconds."""
        ...


class Sandboxes(Protocol):
    """Which tenants have a clock of their own; raises `IndexUnavailable`."""

    async def has(self, tenant_id: str) -> bool: ...
