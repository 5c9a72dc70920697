"""Dead letters: records that cannot be used, untouched, with the reason in `dlq.*` headers."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from libs.common.contracts.topics import dlq
from libs.common.db.outbox import OutboxRow
from libs.common.eventlog.port import Record


@dataclass(frozen=True, slots=True)
class Buried:
    """A record to put aside: `code` is a stable slug, `detail` is for people."""

    record: Record
    code: str
    detail: str


class DeadLetterBudgetExhausted(Exception):
    """Too many records were put aside in too short a time: something else is wrong. Fatal."""


class Budget:
    """At most `limit` dead letters in any `window` seconds."""

    def __init__(self, limit: int, window: float) -> None:
        self._limit, self._window = limit, window
        self._spent: deque[float] = deque()

    def check(self, count: int, now: float) -> None:
        """Whether `count` more are allowed at `now` (monotonic seconds); raises if they are not."""
        while self._spent and self._spent[0] <= now - self._window:
            self._spent.popleft()
        if len(self._spent) + count > self._limit:
            raise DeadLetterBudgetExhausted(
                f"more than {self._limit} dead letters within {self._window:g} s: the consumer"
                " stops at its position; look at what is sent, then start it again"
            )

    def spend(self, count: int, now: float) -> None:
        """Count what has been committed; only commits cost, attempts do not."""
        self._spent.extend([now] * count)


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
    tenant = dict(record.headers).get("ce_tenantid", b"").decode(errors="replace")
    return OutboxRow(
        tenant_id=tenant.replace("\0", "") or "_unknown",
        topic=dlq(record.topic),
        key=record.key,
        value=record.value,
        headers=headers,
        partition=record.partition,
    )


@cache
def _version() -> str:
    try:
        return version("headway")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"
