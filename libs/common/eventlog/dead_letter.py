"""Dead letters: records that cannot be used, untouched, with the reason in `dlq.*` headers."""

from collections import Counter, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from libs.common.contracts.topics import dlq
from libs.common.db.outbox import OutboxRow
from libs.common.eventlog.port import Record

Payers = Counter[str | None]
"""Dead letters by the tenant whose record's contents are at fault; `None`: it may well be us."""


@dataclass(frozen=True, slots=True)
class Buried:
    """A record to put aside: `code` is a stable slug, `detail` is for people."""

    record: Record
    code: str
    detail: str


class DeadLetterBudgetExhausted(Exception):
    """Too many records were put aside in too short a time: something else is wrong. Fatal."""


class Budget:
    """At most `limit` dead letters in any `window` seconds.

    A letter names who pays. Those of `None` cost in full; each tenant's at most a tenth of the
    limit, so that nobody's rubbish stops everybody, and what goes wrong for all tenants still does.
    """

    def __init__(self, limit: int, window: float) -> None:
        self._limit, self._window, self._share = limit, window, max(1, limit // 10)
        self._spent: deque[tuple[float, Payers]] = deque()
        self._held: Payers = Counter()

    def check(self, payers: Payers, now: float) -> None:
        """Whether these too are allowed at `now` (monotonic seconds); raises if they are not."""
        while self._spent and self._spent[0][0] <= now - self._window:
            self._held -= self._spent.popleft()[1]
        if payers and self._cost(self._held + payers) > self._limit:
            raise DeadLetterBudgetExhausted(
                f"more than {self._limit} dead letters within {self._window:g} s: the consumer"
                " stops at its position; look at what is sent, then start it again"
            )

    def spend(self, payers: Payers, now: float) -> None:
        """Count what has been committed; only commits cost, attempts do not."""
        if payers:
            self._spent.append((now, payers))
            self._held += payers

    def _cost(self, payers: Payers) -> int:
        return sum(n if who is None else min(n, self._share) for who, n in payers.items())


def payers(buried: Sequence[Buried], free: Collection[str], shared: Collection[str]) -> Payers:
    """Who pays for `buried`: codes of `free` cost nothing, those of `shared` cost their tenant."""
    return Counter(
        (_tenant(item.record) or None) if item.code in shared else None
        for item in buried
        if item.code not in free
    )


def rows(buried: Sequence[Buried], group: str, at: datetime, attempts: int) -> list[OutboxRow]:
    """The outbox rows of dead letters: key, value and headers as they were, and why."""
    return [_row(item, group, at, attempts) for item in buried]


def _row(item: Buried, group: str, at: datetime, attempts: int) -> OutboxRow:
    record = item.record
    reason = {
        "dlq.original.topic": record.topic,
        "dlq.original.partition": str(record.partition),
        "dlq.original.offset": str(record.offset),
        "dlq.original.timestamp": record.appended_at.isoformat(),
        "dlq.consumer.group": group,
        "dlq.error.class": item.code,
        "dlq.error.message": item.detail[:2_000],
        "dlq.attempts": str(attempts),
        "dlq.first.failed.at": at.isoformat(),
        "dlq.service.version": _version(),
    }
    headers = record.headers + tuple(
        (name, text.encode(errors="replace")) for name, text in reason.items()
    )
    return OutboxRow(
        tenant_id=_tenant(record) or "_unknown",
        topic=dlq(record.topic),
        key=record.key,
        value=record.value,
        headers=headers,
        partition=record.partition,
    )


def _tenant(record: Record) -> str:
    told = dict(record.headers).get("ce_tenantid", b"").decode(errors="replace")
    return told.replace("\0", "")


@cache
def _version() -> str:
    try:
        return version("headway")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"
