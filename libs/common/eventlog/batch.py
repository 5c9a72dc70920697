"""One batch, one transaction: what the handler writes, dead letters and the fenced positions.

What fails is told apart. The infrastructure (a lost connection, a deadlock, a timeout): the same
work again, in place; after a few times in smaller pieces, since a batch may simply be too long for
a timeout. A record that can never succeed: found by halving, put aside, within a budget. The rest,
such as a statement that PostgreSQL does not understand, is nobody's record's fault and stops us.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol, runtime_checkable

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import faults, metrics
from libs.common.clock import Clock
from libs.common.db import outbox, positions
from libs.common.db.database import Database
from libs.common.db.positions import Fenced, Step
from libs.common.eventlog import dead_letter
from libs.common.eventlog.counting import count_records
from libs.common.eventlog.dead_letter import Budget, Buried, Payers, payers
from libs.common.eventlog.heartbeat import Heartbeat
from libs.common.eventlog.loop_claims import Claims
from libs.common.eventlog.loop_errors import blames_a_record, code_of, reason, waits
from libs.common.eventlog.pace import Pace
from libs.common.eventlog.port import Record
from libs.common.retry import Backoff

log = structlog.get_logger()


class Handler(Protocol):
    """What a consumer does with records.

    `handle` runs inside the one transaction that also advances the positions; it may be called
    again for the same records after a rollback, cut differently. It returns the records that it
    cannot use, each with the reason. What it raises decides what happens (see the module); to
    blame a record that it cannot name it raises `Poison` or whatever exception comes.
    """

    async def handle(self, tx: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]: ...


@runtime_checkable
class AfterCommit(Protocol):
    """A handler that also wants to hear of commits, for what needs no transaction.

    It has to be cheap and to stand being missed: after a crash nobody calls it.
    """

    async def committed(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Sizes in records, times in seconds.

    A batch is what is there when the one before has been committed: nothing waits for it to fill,
    so it is small while little comes and grows with the load, up to what fits `target_seconds`
    (`pace.py`).
    `max_wait` only bounds how long an idle loop waits before it looks around. Dead letters with
    `expected_codes` speak of the sender's data and never of our own bugs: no budget limits them.
    Those with `content_codes` come from what a record holds: each tenant's count up to a share.
    """

    max_records: int = 2_000
    first_records: int = 500
    target_seconds: float = 0.5
    max_wait: float = 0.5
    tries: int = 3
    max_backoff: float = 5
    look_seconds: float = 5
    stall_seconds: float = 30
    stalls: int = 3
    dead_letters: int = 1_000
    dead_letter_window: float = 60
    expected_codes: frozenset[str] = frozenset({"conflict", "unknown_tenant"})
    content_codes: frozenset[str] = frozenset({"undecodable", "invalid"})


class _Repeated(Exception):
    """A batch that failed as often as it may at its size."""


@dataclass(frozen=True, slots=True)
class _Piece:
    records: Sequence[Record]
    attempts: int = 1
    """Transactions that these records have been in, this one included."""

    def halves(self) -> list["_Piece"]:
        """The later half first, as a stack wants it."""
        middle = len(self.records) // 2
        parts = (self.records[middle:], self.records[:middle])
        return [_Piece(part, self.attempts + 1) for part in parts]


class Committer:
    """Commits batches for one consumer; keeps the batch size and the budget of dead letters."""

    def __init__(
        self,
        database: Database,
        schema: str,
        group: str,
        handler: Handler,
        clock: Clock,
        settings: LoopSettings,
        claims: Claims,
        heartbeat: Heartbeat,
        meanwhile: Callable[[], Awaitable[None]],
    ) -> None:
        """`meanwhile` is called between the attempts at a batch."""
        self._database, self._schema, self._group = database, schema, group
        self._handler, self._clock, self._settings = handler, clock, settings
        self._claims, self._heartbeat, self._meanwhile = claims, heartbeat, meanwhile
        self._budget = Budget(settings.dead_letters, settings.dead_letter_window)
        self._pace = Pace(settings.first_records, settings.max_records, settings.target_seconds)

    @property
    def size(self) -> int:
        """How many records the next batch should have."""
        return self._pace.size

    async def commit(self, records: Sequence[Record], stop: asyncio.Event) -> None:
        """Commit all of `records` in order, in pieces where one transaction will not do."""
        pending = [_Piece(records)]
        while pending and not stop.is_set():
            piece = pending.pop()
            try:
                await self._persist(piece, stop)
            except Exception as error:
                if not isinstance(error, _Repeated) and not blames_a_record(error):
                    raise
                if len(piece.records) > 1:
                    pending += piece.halves()
                else:
                    await self._bury(piece, error, stop)

    async def _bury(self, piece: _Piece, error: Exception, stop: asyncio.Event) -> None:
        record = piece.records[0]
        log.error("record_is_poison", group=self._group, error=error, topic=record.topic,
                  partition=record.partition, offset=record.offset)  # fmt: skip
        await self._persist(piece, stop, Buried(record, code_of(error), reason(error)))

    async def _persist(
        self, piece: _Piece, stop: asyncio.Event, poison: Buried | None = None
    ) -> None:
        """One transaction, repeated while the infrastructure fails; its place is never lost.

        A single record is repeated for as long as it takes: trouble is no reason to give it up.
        """
        steps, backoff = (
            self._claims.steps(piece.records),
            Backoff(0.05, self._settings.max_backoff),
        )
        for attempt in count(1):
            started = self._clock.monotonic()
            try:
                buried = await self._transact(piece, steps, poison)
                break
            except Exception as error:
                if not waits(error) or stop.is_set():
                    raise
                buried = ()
                if await self._committed_unheard(steps, error, backoff, stop):
                    break
                if len(piece.records) > 1 and attempt >= self._settings.tries:
                    raise _Repeated from error
        await self._advanced(piece, steps, buried, self._clock.monotonic() - started)

    async def _transact(
        self, piece: _Piece, steps: Sequence[Step], poison: Buried | None
    ) -> Sequence[Buried]:
        """Positions first: who has lost a partition learns it before any work, and who takes one
        over waits for the row until we are done."""
        async with self._database.across_tenants() as tx:
            await positions.advance(tx, self._schema, self._group, steps)
            buried = [poison] if poison else await self._handler.handle(tx, piece.records)
            if buried:
                self._budget.check(self._payers(buried), self._clock.monotonic())
                now = self._clock.now()
                rows = dead_letter.rows(buried, self._group, now, piece.attempts)
                await outbox.put(tx, self._schema, rows)
            faults.hit("loop.before_commit")
        faults.hit("loop.after_commit")
        return buried

    def _payers(self, buried: Sequence[Buried]) -> Payers:
        settings = self._settings
        return payers(buried, settings.expected_codes, settings.content_codes)

    async def _committed_unheard(
        self, steps: Sequence[Step], error: Exception, backoff: Backoff, stop: asyncio.Event
    ) -> bool:
        """Wait, then ask whether a commit whose answer was lost has happened after all.

        Raises `Fenced` if somebody else has our place by then. While nobody answers: no; should it
        have happened, the next attempt finds the position moved and is fenced.
        """
        metrics.CONSUMER_RETRIES.labels(self._group).inc()
        log.warning("batch_retried", group=self._group, error=error)
        await backoff.pause(stop)
        if not stop.is_set():
            await self._meanwhile()
        self._heartbeat.beat()
        try:
            async with self._database.across_tenants() as tx:
                held = await positions.read_all(tx, self._schema, self._group)
        except Exception as unanswered:
            if not waits(unanswered):
                raise
            return False
        now = [held.get(step.claim.partition) for step in steps]
        if any(h is None or h.epoch != s.claim.epoch for h, s in zip(now, steps, strict=True)):
            raise Fenced(f"{self._group} was taken over while the database did not answer")
        return all(h and h.next_offset == s.next_offset for h, s in zip(now, steps, strict=True))

    async def _advanced(
        self, piece: _Piece, steps: Sequence[Step], buried: Sequence[Buried], seconds: float
    ) -> None:
        """The transaction is committed: everything outside of it follows."""
        self._claims.advanced(steps)
        self._budget.spend(self._payers(buried), self._clock.monotonic())
        self._pace.took(len(piece.records), seconds)
        self._heartbeat.beat()
        metrics.CONSUMER_BATCH_SECONDS.labels(self._group).observe(seconds)
        metrics.CONSUMER_LAST_COMMIT.labels(self._group).set(self._clock.now().timestamp())
        count_records(self._group, piece.records, buried)
        if isinstance(self._handler, AfterCommit):
            await self._handler.committed()
