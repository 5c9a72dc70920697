"""What the use cases of alerts need from one transaction."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from libs.common.db.outbox import OutboxRow
from services.alerts.app.compiling import StoredRule
from services.alerts.domain.alert import Alert, Told
from services.alerts.domain.timeline import Facts

SubjectKey = tuple[str, str]
"""Tenant and deal."""
Record = tuple[Told, Sequence[OutboxRow]]
"""What is told, and the rows that tell it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A subject that has to be judged; `brought` by an import, by what became known at `known_at`.

    Marks without an instant are of no record.
    """

    tenant_id: str
    subject_id: str
    brought: bool
    known_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Timer:
    """When to look again at a subject for a rule (`None`: not by itself), how far it was judged,
    and by when an import had last brought it."""

    subject_id: str
    rule_id: str
    due_at: datetime | None
    judged_to: datetime
    brought_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class RuleError:
    """A rule could not be evaluated for a subject."""

    rule_id: str
    version: int
    subject_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class Rows:
    """What is stored of some subjects of one tenant, by subject and rule.

    `alerts` leaves retracted ones out, `episodes` counts them in.
    """

    alerts: Mapping[tuple[str, str], Sequence[Alert]]
    episodes: Mapping[tuple[str, str], int]
    timers: Mapping[tuple[str, str], Timer]


class JudgingStore(Protocol):
    """The rows around a judgement; the transaction is bound to the tenant."""

    async def rules(self, tenant_id: str, subjects: Collection[str]) -> Sequence[StoredRule]:
        """The latest version of each rule that is live or has an open alert of these subjects."""
        ...

    async def weights(
        self, tenant_id: str, subjects: Collection[str], attributes: bool
    ) -> Mapping[str, int]:
        """About how many bytes `facts` reads of each."""
        ...

    async def facts(
        self, tenant_id: str, subjects: Collection[str], attributes: bool
    ) -> Mapping[str, Facts]:
        """Deals have no attributes in these where nobody asks for `attributes`."""
        ...

    async def hold(self, tenant_id: str, subjects: Collection[str]) -> Collection[str]:
        """Leave to an import's end what it has brought some of already, and tell which it is."""
        ...

    async def rows(self, tenant_id: str, subjects: Collection[str]) -> Rows: ...

    async def write_alerts(self, tenant_id: str, alerts: Sequence[Alert]) -> None: ...

    async def write_timers(self, tenant_id: str, timers: Sequence[Timer]) -> None: ...

    async def disarm(
        self, tenant_id: str, subjects: Collection[str], live: Collection[str]
    ) -> None:
        """Forget the subjects' timers of all rules but those that are live."""
        ...

    async def count_errors(self, tenant_id: str, errors: Sequence[RuleError]) -> None: ...

    def attempt(self) -> AbstractAsyncContextManager[None]:
        """What is done within is undone if PostgreSQL refuses it, and the transaction goes on."""
        ...

    async def put_aside(self, tenant_id: str, subject_id: str, pause: timedelta) -> None:
        """The subject waits for so long, whatever is told of it and whatever clock of it is due."""
        ...

    async def settle(self, tenant_id: str, subjects: Collection[str]) -> None:
        """The subjects no longer wait to be judged."""
        ...

    async def publish(self, records: Sequence[Record]) -> None:
        """In the order given; those of a sandbox once nothing before them is left to judge."""
        ...
