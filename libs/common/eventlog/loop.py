"""The consumer loop: records to committed rows, once in effect, whatever fails.

Each batch is one transaction that holds everything: what the handler writes, dead letters, and the
positions, fenced by the epochs of all partitions in it. What fails is told apart: trouble of the
infrastructure is retried in place and never costs a record; a record that can never succeed is
found by halving the batch and put aside, within a budget; losing a partition ends the session.
"""

import asyncio
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import faults, metrics
from libs.common.clock import Clock
from libs.common.db import outbox, positions
from libs.common.db.database import Database
from libs.common.db.errors import is_transient
from libs.common.db.positions import Claim, Fenced, Step
from libs.common.eventlog import dead_letter
from libs.common.eventlog.dead_letter import Budget, Buried, DeadLetterBudgetExhausted
from libs.common.eventlog.port import (
    EventLog,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
    Reader,
    Record,
    TopicChanged,
)

__all__ = ["Buried", "ConsumerLoop", "Handler", "LoopSettings", "Poison", "PositionLost"]
log = structlog.get_logger()


class Poison(Exception):
    """A handler's word that a batch can never succeed as it is."""


class PositionLost(Exception):
    """The log no longer keeps what comes next; an operator has to decide what that means."""


class Stalled(Exception):
    """Records wait and none comes: the reader has to be made anew."""


class Handler(Protocol):
    """What a consumer does with records.

    `handle` runs inside the one transaction that also advances the positions; it may be called
    again for the same records after a rollback, cut differently. It returns the records that it
    cannot use, each with the reason. What it raises decides what happens: errors of the
    infrastructure (`is_transient`) are retried, everything else is bisected.
    """

    async def handle(self, tx: AsyncConnection, records: Sequence[Record]) -> Sequence[Buried]: ...


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Sizes in records, times in seconds."""

    max_records: int = 2_000
    first_records: int = 500
    target_seconds: float = 0.5
    max_wait: float = 0.5
    stall_seconds: float = 30
    stalls: int = 3
    max_backoff: float = 5
    dead_letters: int = 1_000
    dead_letter_window: float = 60


class ConsumerLoop:
    """A `Worker` that keeps one reader of a group at work. `schema` holds positions and outbox."""

    def __init__(
        self,
        log: EventLog,
        database: Database,
        schema: str,
        topics: Sequence[str],
        group: str,
        member: str,
        handler: Handler,
        clock: Clock,
        settings: LoopSettings = LoopSettings(),
    ) -> None:
        self.name = f"{group}-loop"
        self._log, self._database, self._schema = log, database, schema
        self._topics, self._group, self._member = topics, group, member
        self._handler, self._clock, self._settings = handler, clock, settings
        self._claims: dict[Partition, Claim] = {}
        self._size = settings.first_records
        self._budget = Budget(settings.dead_letters, settings.dead_letter_window)
        self._stalls = 0
        self._progress_at = self.beat_at = clock.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Read and commit until `stop`; raises what only an operator can mend."""
        backoff = 0.1
        while not stop.is_set():
            try:
                await self._session(stop)
                backoff = 0.1
            except (Fenced, Stalled) as error:
                log.warning("consumer_session_ended", group=self._group, reason=str(error))
            except Exception as error:
                if not _waits(error):
                    log.error("consumer_stopped", group=self._group, error=repr(error))
                    raise
                log.warning("consumer_waits", group=self._group, error=repr(error))
            await _pause(stop, backoff)
            backoff = min(backoff * 2, self._settings.max_backoff)

    async def check(self) -> str | None:
        """Readiness: whether the loop has turned lately."""
        age = self._clock.monotonic() - self.beat_at
        return f"no turn for {age:.0f} s" if age > 2 * self._settings.stall_seconds else None

    async def _session(self, stop: asyncio.Event) -> None:
        """One reader's life: from joining the group until it is stopped or given up."""
        reader = self._log.reader(self._topics, self._group, self._member)

        async def assigned(partitions: Collection[Partition]) -> None:
            await self._claim(reader, partitions)

        await reader.start(assigned, self._revoked)
        self._progress_at = self._clock.monotonic()
        try:
            while not stop.is_set():
                self.beat_at = self._clock.monotonic()
                records = await self._read(reader)
                if records:
                    await self._commit(records, stop)
                    faults.hit("loop.before_report")
                    await self._report(reader)
                else:
                    await self._watch()
        finally:
            self._claims.clear()
            await reader.stop()

    async def _read(self, reader: Reader) -> list[Record]:
        wait = self._settings.max_wait
        try:
            async with asyncio.timeout(wait + self._settings.stall_seconds):
                records = await reader.read(self._size, wait)
        except TimeoutError:
            raise Stalled("the reader does not answer") from None
        except OffsetOutOfRange as error:
            raise PositionLost(
                f"{self._group} is at {error.offset} of {error.partition}, but the log keeps"
                f" [{error.ends.start}, {error.ends.end}); records are lost to it: rebuild, or set"
                " the position on purpose"
            ) from error
        return [r for r in records if Partition(r.topic, r.partition) in self._claims]

    async def _claim(self, reader: Reader, partitions: Collection[Partition]) -> None:
        """Take over partitions; readers are told where to go on from our own positions."""
        for topic in {partition.topic for partition in partitions}:
            topic_id, ends = await self._log.topic_id(topic), await self._log.ends(topic)
            async with self._database.across_tenants() as tx:
                for partition in sorted(p for p in partitions if p.topic == topic):
                    self._claims[partition] = await positions.claim(
                        tx, self._schema, self._group, partition, topic_id,
                        start=ends[partition].start, owner=self._member,
                    )  # fmt: skip
        for partition in partitions:
            reader.seek(partition, self._claims[partition].next_offset)

    async def _revoked(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            self._claims.pop(partition, None)

    async def _commit(self, records: Sequence[Record], stop: asyncio.Event) -> None:
        """Commit all of `records`, halving around what cannot be committed."""
        pending = [list(records)]
        while pending and not stop.is_set():
            batch = pending.pop()
            try:
                await self._persist(batch, stop)
            except (Fenced, DeadLetterBudgetExhausted, TopicChanged):
                raise
            except Exception as error:
                if _waits(error):
                    raise
                if len(batch) > 1:
                    middle = len(batch) // 2
                    pending += [batch[middle:], batch[:middle]]
                else:
                    await self._bury(batch[0], error, stop)

    async def _bury(self, record: Record, error: Exception, stop: asyncio.Event) -> None:
        log.error("record_is_poison", group=self._group, error=repr(error), topic=record.topic,
                  partition=record.partition, offset=record.offset)  # fmt: skip
        code = "poison" if isinstance(error, Poison) else type(error).__name__
        await self._persist([record], stop, Buried(record, code, str(error)))

    async def _persist(
        self, batch: Sequence[Record], stop: asyncio.Event, buried: Buried | None = None
    ) -> None:
        """One transaction, repeated while the infrastructure fails; its place is never lost."""
        steps, backoff = self._steps(batch), 0.05
        while True:
            started = self._clock.monotonic()
            try:
                await self._transact(batch, steps, buried)
                break
            except Exception as error:
                if not _waits(error) or stop.is_set():
                    raise
                metrics.CONSUMER_RETRIES.labels(self._group).inc()
                log.warning("batch_retried", group=self._group, error=repr(error))
            await _pause(stop, backoff)
            backoff = min(backoff * 2, self._settings.max_backoff)
            if await self._is_committed(steps):
                break
        self._advanced(batch, steps, self._clock.monotonic() - started)

    async def _transact(
        self, batch: Sequence[Record], steps: Sequence[Step], poison: Buried | None
    ) -> None:
        async with self._database.across_tenants() as tx:
            buried = [poison] if poison else await self._handler.handle(tx, batch)
            if buried:
                self._budget.spend(len(buried), self._clock.monotonic())
                rows = dead_letter.rows(buried, self._group, self._clock.now())
                await outbox.put(tx, self._schema, rows)
            await positions.advance(tx, self._schema, self._group, steps)
            faults.hit("loop.before_commit")
        faults.hit("loop.after_commit")
        for item in buried:
            metrics.CONSUMER_DEAD_LETTERS.labels(self._group, item.code).inc()

    async def _is_committed(self, steps: Sequence[Step]) -> bool:
        """Whether a commit whose answer was lost has happened; raises `Fenced` if we are out."""
        try:
            async with self._database.across_tenants() as tx:
                held = await positions.read(tx, self._schema, self._group)
        except Exception as error:
            if not _waits(error):
                raise
            return False
        if any(held[s.claim.partition].epoch != s.claim.epoch for s in steps):
            raise Fenced(f"{self._group} was taken over while the database did not answer")
        return all(held[s.claim.partition].next_offset >= s.next_offset for s in steps)

    def _steps(self, batch: Sequence[Record]) -> list[Step]:
        last: dict[Partition, Record] = {}
        for record in batch:
            last[Partition(record.topic, record.partition)] = record
        try:
            return [Step(self._claims[p], r.offset + 1, r.appended_at) for p, r in last.items()]
        except KeyError:
            raise Fenced("a partition of the batch was revoked") from None

    def _advanced(self, batch: Sequence[Record], steps: Sequence[Step], seconds: float) -> None:
        for step in steps:
            claim = step.claim
            self._claims[claim.partition] = Claim(
                claim.partition, claim.topic_id, step.next_offset, claim.epoch
            )
        self._size = _adapted(self._size, len(batch), seconds, self._settings)
        self._progress_at, self._stalls = self._clock.monotonic(), 0
        metrics.CONSUMER_RECORDS.labels(self._group).inc(len(batch))
        metrics.CONSUMER_BATCH_SECONDS.labels(self._group).observe(seconds)

    async def _report(self, reader: Reader) -> None:
        """For lag tools only: our own positions are what counts."""
        try:
            await reader.report({p: claim.next_offset for p, claim in self._claims.items()})
        except LogUnavailable as error:
            log.info("positions_not_reported", group=self._group, error=str(error))

    async def _watch(self) -> None:
        """Nothing came: fine if nothing is there; else the reader is stuck."""
        lag = await self._lag()
        metrics.CONSUMER_LAG_RECORDS.labels(self._group).set(lag)
        now = self._clock.monotonic()
        if lag == 0:
            self._progress_at, self._stalls = now, 0
            return
        if now - self._progress_at < self._settings.stall_seconds:
            return
        self._stalls += 1
        if self._stalls > self._settings.stalls:
            raise PositionLost(f"{self._group}: {lag} records wait and no reader brings them")
        raise Stalled(f"{lag} records wait and none has come")

    async def _lag(self) -> int:
        ends = {p: e for topic in self._topics for p, e in (await self._log.ends(topic)).items()}
        return sum(max(0, ends[p].end - c.next_offset) for p, c in self._claims.items())


def _adapted(size: int, handled: int, seconds: float, settings: LoopSettings) -> int:
    """The next batch's size: as many as fit into the target time."""
    if seconds > settings.target_seconds:
        return max(10, int(handled * settings.target_seconds / seconds))
    if handled >= size and seconds < settings.target_seconds / 2:
        return min(settings.max_records, size * 2)
    return size


def _waits(error: BaseException) -> bool:
    return isinstance(error, LogUnavailable) or is_transient(error)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait with jitter, or until `stop`."""
    delay = seconds * random.uniform(0.5, 1)  # noqa: S311  # jitter, not a secret
    try:
        await asyncio.wait_for(stop.wait(), delay)
    except TimeoutError:
        return
