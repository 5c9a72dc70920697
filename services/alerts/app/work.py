"""The port of the scheduler: what there is to do, and what it has to wait for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from libs.common.ids import uuid5
from services.alerts.app.ports import JudgingStore, Mark, SubjectKey

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Where a sandbox's clock stands until it is moved."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox tenant and its clock."""

    tenant_id: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Imports:
    """A tenant's imports: how many run, and when the last one ended."""

    running: int
    finished_at: datetime | None

    def complete(self, sure: datetime) -> bool:
        """Whether all that they have brought is folded, if facts are complete up to `sure`."""
        return not self.running and (self.finished_at or EPOCH) <= sure


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Since when the oldest accepted event waits to be appended, as all processes of ingest said
    at `said_at` or later (`None` where there is none)."""

    oldest: datetime | None
    said_at: datetime | None

    def waits(self, at: datetime) -> bool:
        """Whether something that was accepted by then is known to wait."""
        return self.oldest is not None and self.oldest <= at

    def told(self, at: datetime) -> bool:
        """Whether each process has spoken since."""
        return self.said_at is None or self.said_at >= at


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many subjects could be judged now, and for how many seconds the first of them could."""

    subjects: int
    seconds: float


def digest_of(tenant_id: str, import_id: UUID | None) -> str | None:
    """What the alerts that an import brought have in common."""
    return None if import_id is None else str(uuid5(tenant_id, "digest", str(import_id)))


class Work(Protocol):
    """One transaction of the worker. Claims lock the subjects until it ends."""

    async def bind(self, tenant_id: str, sandbox: bool = False) -> JudgingStore:
        """Bind the transaction to a tenant; what a sandbox publishes waits for `release`."""
        ...

    async def release(self, sandbox: Sandbox, marked_by: datetime) -> None:
        """Publish what a sandbox has told, in order of its instants, if all of it is told."""
        ...

    async def now(self) -> datetime:
        """The database's clock: that of all real tenants."""
        ...

    async def watermark(self, partitions: int) -> datetime | None:
        """The smallest consumed watermark; `None` while a partition has told none."""
        ...

    async def sandboxes(self) -> Sequence[str]: ...

    async def busy_sandboxes(self) -> Sequence[Sandbox]:
        """Those with something to judge as of their clock."""
        ...

    async def pending(self, sandboxes: Collection[str], limit: int) -> Sequence[SubjectKey]: ...

    async def due(
        self, sandboxes: Collection[str], until: datetime, limit: int
    ) -> Sequence[SubjectKey]: ...

    async def of_sandbox(
        self, sandbox: Sandbox, marked_by: datetime, limit: int
    ) -> Sequence[str]: ...

    async def tenants_with_brought(self, sandboxes: Collection[str]) -> Sequence[str]: ...

    async def brought(self, tenant_id: str, limit: int) -> Mapping[UUID | None, Sequence[str]]:
        """Subjects by the import that brought them; `None` for what came without one."""
        ...

    async def imports(self, tenant_id: str) -> Imports: ...

    async def acceptance(self) -> Acceptance: ...

    async def folded(self, topic: str, topic_id: str) -> Mapping[int, int]:
        """The funnel's next offset, by partition."""
        ...

    async def consumed(self, topic: str, topic_id: str) -> Mapping[int, int]:
        """Our own next offset, by partition."""
        ...

    async def refolds(self, tenant_id: str) -> bool:
        """Whether deals of the transaction's tenant wait for a refold."""
        ...

    async def unpublished(self, sandbox: Sandbox) -> bool:
        """Whether the funnel has something to publish as of a sandbox's clock."""
        ...

    async def waits(self, sandbox: Sandbox) -> bool:
        """Whether anything is still to be judged or published by us as of a sandbox's clock."""
        ...

    async def oldest_timer(self, sandboxes: Collection[str]) -> datetime | None: ...

    async def waiting(self, sandboxes: Collection[str]) -> Waiting: ...

    async def mark(self, marks: Collection[Mark]) -> None: ...
