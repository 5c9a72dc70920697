"""Redriving: letters enter again by the checks of the door, under the ids that they had.

The events are durable in the log before a letter counts as redriven. Killed in between, the letter
stays open and may enter twice: the funnel's unique key makes the effect exact.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from libs.common.clock import Clock
from libs.common.contracts.topics import CRM_EVENTS
from libs.common.eventlog.port import EventLog, NewRecord, RecordTooLarge
from services.ingest.app.appending import record_of
from services.ingest.app.ports import Appended
from services.ingest.app.unappended import Unappended
from services.ingest.domain.model import Candidate, EventKey
from services.ingest.domain.redriving import (
    LETTER_HEADER,
    MendedBy,
    Refusal,
    StoredLetter,
    again,
    collision,
)

AT_ONCE = 50
"""Letters in memory at a time: each may be as large as an event."""
Status = Literal["redriven", "would_redrive", "refused"]


@dataclass(frozen=True, slots=True)
class Redriven:
    """A letter whose event is in the log again."""

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

    async def entered(self, redriven: Sequence[Redriven], at: datetime) -> None:
        """Mark these letters, with the places of their events."""
        ...


class Redriver:
    def __init__(self, log: EventLog, unappended: Unappended, clock: Clock) -> None:
        self._log, self._unappended, self._clock = log, unappended, clock

    async def redrive(
        self, letters: Letters, ids: Sequence[UUID], *, dry_run: bool
    ) -> list[Outcome]:
        """Outcomes in the order of `ids`. A dry run asks everything and changes nothing."""
        outcomes, now = list[Outcome](), self._clock.now()
        with self._unappended.hold(now):
            for start in range(0, len(ids), AT_ONCE):
                some = ids[start : start + AT_ONCE]
                outcomes += await self._some(letters, some, now, dry_run)
        return outcomes

    async def _some(
        self, letters: Letters, ids: Sequence[UUID], now: datetime, dry_run: bool
    ) -> list[Outcome]:
        loaded = await letters.load(ids)
        judged = await _judged(letters, loaded, now)
        pairs = list(zip(loaded, judged, strict=True))
        if dry_run:
            return [_outcome(letter, verdict, "would_redrive") for letter, verdict in pairs]
        fit = [(letter.letter_id, v) for letter, v in pairs if isinstance(v, Candidate)]
        entered, refused = await self._enter(fit)
        await letters.entered(entered, now)
        return [
            _outcome(letter, refused.get(letter.letter_id, verdict), "redriven")
            for letter, verdict in pairs
        ]

    async def _enter(
        self, fit: Sequence[tuple[UUID, Candidate]]
    ) -> tuple[list[Redriven], dict[UUID, Refusal]]:
        """What the log refuses for good costs its neighbours nothing."""
        try:
            places = await self._log.append(CRM_EVENTS, [_record(*one) for one in fit])
        except RecordTooLarge as error:
            if len(fit) == 1:
                return [], {fit[0][0]: Refusal("refused_by_log", str(error), "sender")}
            singles = [await self._enter([one]) for one in fit]
            refused = {i: why for _, refusals in singles for i, why in refusals.items()}
            return [one for done, _ in singles for one in done], refused
        pairs = zip(fit, places, strict=True)
        return [Redriven(i, Appended(event, *place)) for (i, event), place in pairs], {}


def _record(letter_id: UUID, candidate: Candidate) -> NewRecord:
    record = record_of(candidate)
    return replace(record, headers=(*record.headers, (LETTER_HEADER, str(letter_id).encode())))


async def _judged(
    letters: Letters, loaded: Sequence[StoredLetter], now: datetime
) -> list[Candidate | Refusal]:
    judged = [again(letter, letters.tenant_id, now) for letter in loaded]
    fit = [verdict for verdict in judged if isinstance(verdict, Candidate)]
    there = await letters.tenants({candidate.key.tenant_id for candidate in fit})
    hashes = dict(await letters.known([c.key for c in fit if c.key.tenant_id in there]))
    return [_allowed(verdict, there, hashes) for verdict in judged]


def _allowed(
    verdict: Candidate | Refusal, tenants: Collection[str], hashes: dict[EventKey, bytes]
) -> Candidate | Refusal:
    """First wins here as well, against what was accepted and among the letters themselves."""
    if isinstance(verdict, Refusal):
        return verdict
    if verdict.key.tenant_id not in tenants:
        return Refusal("unknown_tenant", "no such tenant", "redrive")
    first = hashes.setdefault(verdict.key, verdict.body_hash)
    return verdict if first == verdict.body_hash else collision()


def _outcome(letter: StoredLetter, verdict: Candidate | Refusal, status: Status) -> Outcome:
    if isinstance(verdict, Refusal):
        why = (verdict.code, verdict.detail, verdict.mended_by)
        return Outcome(letter.letter_id, letter.event_id, "refused", *why)
    return Outcome(letter.letter_id, verdict.key.event_id, status)
