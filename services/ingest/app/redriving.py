"""Redriving: letters enter again by the checks of the door, under the ids that they had.

The events are durable in the log before a letter counts as redriven. Killed in between, the letter
stays open and may enter twice: the funnel's unique key makes the effect exact.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol, TypeVar
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import EventLog, NewRecord, RecordTooLarge
from services.ingest.app.appending import record_of
from services.ingest.app.ports import Appended
from services.ingest.app.retranslating import anew
from services.ingest.app.unappended import Unappended
from services.ingest.domain.connections import Live
from services.ingest.domain.crm.model import Connector, Kind
from services.ingest.domain.model import Candidate, EventKey
from services.ingest.domain.redriving import (
    LETTER_HEADER,
    MendedBy,
    Part,
    Refusal,
    StoredLetter,
    again,
    collision,
    in_runs,
    too_much,
)

T = TypeVar("T")
AT_ONCE = 50
"""Letters in memory at a time: each may be as large as an event."""
CHUNK = 1_000
"""Events of an append, or of a look at the index."""
Status = Literal["redriven", "would_redrive", "refused"]
Verdict = Sequence[Candidate] | Refusal
"""The events of a letter: one, or what a part of a CRM's delivery makes."""


@dataclass(frozen=True, slots=True)
class Redriven:
    """An event of a letter, in the log again."""

    letter_id: UUID
    entry: Appended


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one letter."""

    id: UUID
    event_id: str | None
    status: Status
    code: str | None = None
    detail: str | None = None
    mended_by: MendedBy | None = None


class Letters(Protocol):
    """One transaction over the letters of one tenant, or of the operator."""

    @property
    def tenant_id(self) -> str | None:
        """Whose letters they are; `None`: the operator's."""
        ...

    async def load(self, ids: Sequence[UUID]) -> Sequence[StoredLetter]: ...

    async def tenants(self, named: Collection[str]) -> Collection[str]:
        """Those of the named tenants that exist."""
        ...

    async def known(self, keys: Sequence[EventKey]) -> Mapping[EventKey, bytes]: ...

    async def connection(self, connection_id: str) -> Live | None:
        """The tenant's connection as it is now, without secrets; `None` if it is deleted."""
        ...

    async def entered(self, redriven: Sequence[Redriven], at: datetime) -> None:
        """Mark these letters, with the places of their events."""
        ...

    async def keep_conflicts(self, conflicts: Sequence[Candidate], at: datetime) -> None:
        """Each as a letter of its own, once."""
        ...


class Redriver:
    def __init__(
        self,
        log: EventLog,
        unappended: Unappended,
        connectors: Mapping[Kind, Connector],
        patient: Mapping[Kind, Connector],
        clock: Clock,
    ) -> None:
        self._log, self._unappended, self._clock = log, unappended, clock
        self._connectors, self._patient = connectors, patient
        """As deliveries meet them, and as bodies do that were too much for one."""

    async def redrive(
        self, letters: Letters, ids: Sequence[UUID], *, dry_run: bool
    ) -> list[Outcome]:
        """Outcomes in the order of `ids`. A dry run asks everything and changes nothing."""
        outcomes, now = list[Outcome](), self._clock.now()
        with self._unappended.hold(now):
            for some in chunks(ids, AT_ONCE):
                outcomes += await self._some(letters, some, now, dry_run)
        return outcomes

    async def _some(
        self, letters: Letters, ids: Sequence[UUID], now: datetime, dry_run: bool
    ) -> list[Outcome]:
        runs = in_runs(await letters.load(ids))
        return [one for run in runs for one in await self._run(letters, run, now, dry_run)]

    async def _run(
        self, letters: Letters, loaded: Sequence[StoredLetter], now: datetime, dry_run: bool
    ) -> list[Outcome]:
        judged, conflicts = await self._judged(letters, loaded, now)
        pairs = list(zip(loaded, judged, strict=True))
        if dry_run:
            return [_outcome(letter, verdict, "would_redrive") for letter, verdict in pairs]
        entered, refused = await self._enter(_flat(pairs))
        await letters.entered([one for one in entered if one.letter_id not in refused], now)
        await letters.keep_conflicts([e for i, e in conflicts if i not in refused], now)
        return [
            _outcome(letter, refused.get(letter.letter_id, verdict), "redriven")
            for letter, verdict in pairs
        ]

    async def _judged(
        self, letters: Letters, loaded: Sequence[StoredLetter], now: datetime
    ) -> tuple[list[Verdict], list[tuple[UUID, Candidate]]]:
        """What enters of each letter, and what collides of those of which some enters."""
        judged = [await self._verdict(letters, letter, now) for letter in loaded]
        fit = [c for verdict in judged if not isinstance(verdict, Refusal) for c in verdict]
        there = await letters.tenants({candidate.key.tenant_id for candidate in fit})
        hashes = dict[EventKey, bytes]()
        for some in chunks([c.key for c in fit if c.key.tenant_id in there], CHUNK):
            hashes |= await letters.known(some)
        allowed = [_allowed(verdict, there, hashes) for verdict in judged]
        told = zip(loaded, judged, allowed, strict=True)
        return allowed, _colliding(told, hashes)

    async def _verdict(self, letters: Letters, letter: StoredLetter, now: datetime) -> Verdict:
        told = again(letter, letters.tenant_id, now)
        if isinstance(told, Part):
            live = await letters.connection(told.connection_id)
            connectors = self._patient if too_much(letter) else self._connectors
            return await anew(connectors, told, live, now)
        return [told] if isinstance(told, Candidate) else told

    async def _enter(
        self, fit: Sequence[tuple[UUID, Candidate]]
    ) -> tuple[list[Redriven], dict[UUID, Refusal]]:
        entered, refused = list[Redriven](), dict[UUID, Refusal]()
        for some in chunks(fit, CHUNK):
            done, refusals = await self._append(some)
            entered += done
            refused |= refusals
        return entered, refused

    async def _append(
        self, fit: Sequence[tuple[UUID, Candidate]]
    ) -> tuple[list[Redriven], dict[UUID, Refusal]]:
        """What the log refuses for good costs its neighbours nothing."""
        try:
            places = await self._log.append(CRM_EVENTS, [_record(*one) for one in fit])
        except RecordTooLarge as error:
            if len(fit) == 1:
                return [], {fit[0][0]: Refusal("refused_by_log", str(error), "sender")}
            singles = [await self._append([one]) for one in fit]
            refused = {i: why for _, refusals in singles for i, why in refusals.items()}
            return [one for done, _ in singles for one in done], refused
        pairs = zip(fit, places, strict=True)
        return [Redriven(i, Appended(event, *place)) for (i, event), place in pairs], {}


def chunks(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """All of them in order, `most` at a time; none of nothing."""
    return (items[start : start + most] for start in range(0, len(items), most))


def _record(letter_id: UUID, candidate: Candidate) -> NewRecord:
    record = record_of(candidate)
    return replace(record, headers=(*record.headers, (LETTER_HEADER, str(letter_id).encode())))


def _flat(pairs: Sequence[tuple[StoredLetter, Verdict]]) -> list[tuple[UUID, Candidate]]:
    return [
        (letter.letter_id, event)
        for letter, verdict in pairs
        if not isinstance(verdict, Refusal)
        for event in verdict
    ]


def _allowed(verdict: Verdict, tenants: Collection[str], hashes: dict[EventKey, bytes]) -> Verdict:
    """First wins here as well, against what was accepted and among the letters themselves. Of
    several events those enter that are new; all that are known already, if none is."""
    if isinstance(verdict, Refusal):
        return verdict
    if any(event.key.tenant_id not in tenants for event in verdict):
        return Refusal("unknown_tenant", "no such tenant", "redrive")
    new = list[Candidate]()
    for event in verdict:
        if event.key not in hashes:
            hashes[event.key] = event.body_hash
            new.append(event)
    known = [event for event in verdict if hashes[event.key] == event.body_hash]
    return new or known or collision()


def _colliding(
    told: Iterable[tuple[StoredLetter, Verdict, Verdict]], hashes: Mapping[EventKey, bytes]
) -> list[tuple[UUID, Candidate]]:
    """Of letters with their events and those of them that may enter, the others under whose id
    another body came first. A letter of which nothing enters stays open and holds its own."""
    pairs = [(letter, all_) for letter, all_, may in told if not isinstance(may, Refusal)]
    return [(i, event) for i, event in _flat(pairs) if hashes[event.key] != event.body_hash]


def _outcome(letter: StoredLetter, verdict: Verdict, status: Status) -> Outcome:
    if isinstance(verdict, Refusal):
        why = (verdict.code, verdict.detail, verdict.mended_by)
        return Outcome(letter.letter_id, letter.event_id, "refused", *why)
    return Outcome(letter.letter_id, verdict[0].key.event_id, status)
