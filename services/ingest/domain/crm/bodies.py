"""From a body to its parts, and from each part to events: one rotten part spoils no other."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

from libs.common.contracts import catalogue
from libs.common.contracts.cloudevents import IncomingEvent, canonical, check
from libs.common.contracts.errors import ContractViolation, Violation, pointer
from libs.common.contracts.values import json_fault
from services.ingest.domain.crm.bounds import Bounds, TooMuch, Weight, counted
from services.ingest.domain.crm.model import Delivery, Puzzle, Refresh, Translation, Unreadable
from services.ingest.domain.decoding import decode_foreign


class Puzzling(Exception):
    """What this part means, nobody can tell; its neighbours are not concerned."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def read(delivery: Delivery) -> Any:
    """The body's JSON; raises `Unreadable`."""
    try:
        return decode_foreign(delivery.body)
    except ContractViolation as violation:
        raise Unreadable(violation.violations[0].detail) from None


def happened(name: str, given: Any, read: Callable[[Any], datetime | None]) -> datetime | None:
    """When it happened; `None` where the source does not tell. Raises `Puzzling` where it tells
    what is no instant."""
    at = read(given)
    if at is None and given not in (None, ""):
        raise Puzzling("invalid_time", f"{name} is no instant between 1900 and 2199")
    return at


Told = IncomingEvent | Refresh


def gathered(
    parts: Iterable[Any],
    translate: Callable[[Any], Iterable[Told]],
    whole: Any = None,
    bounds: Bounds = Bounds(),  # noqa: B008  frozen
) -> Translation:
    """What all parts tell. A part that makes nothing, or an event that would be refused, is a
    puzzle; what else it says enters. `translate` sees storable JSON and may raise `Puzzling`.

    What is more than one delivery may be is one puzzle: `whole`, which parts that are copied from
    it must have, and which is the list itself for others.
    """
    return gathered_by_place(parts, lambda _, part: translate(part), whole, bounds)


def gathered_by_place(
    parts: Iterable[Any],
    translate: Callable[[int, Any], Iterable[Told]],
    whole: Any = None,
    bounds: Bounds = Bounds(),  # noqa: B008  frozen
) -> Translation:
    """The same where the place of a part, from 0, matters."""
    try:
        told = list(_each(parts, translate, bounds, weighed=whole is not None))
    except TooMuch as much:
        raw = list(parts) if whole is None else whole
        return Translation(puzzles=[Puzzle(much.code, much.detail, raw, place="whole")])
    alone = len(told) == 1
    return Translation(
        events=[event for one in told for event in one.events],
        puzzles=[
            replace(puzzle, place="whole" if alone else place)
            for place, one in enumerate(told)
            for puzzle in one.puzzles
        ],
        refreshes=[refresh for one in told for refresh in one.refreshes],
    )


def _each(
    parts: Iterable[Any],
    translate: Callable[[int, Any], Iterable[Told]],
    bounds: Bounds,
    *,
    weighed: bool,
) -> Iterator[Translation]:
    """Parts of a list weigh what the body does, in which they stand."""
    weight = Weight(bounds.bytes)
    for place, part in enumerate(counted(parts, bounds.parts)):
        if weighed:
            weight.part(part)
        told = _of(part, partial(translate, place))
        if weighed:
            weight.events(told.events)
        yield told


def or_skipped(told: Iterable[Told], skipped: IncomingEvent) -> Sequence[Told]:
    """What a part tells, with `skipped` where that is no event: nothing vanishes."""
    held = list(told)
    return held if any(isinstance(one, IncomingEvent) for one in held) else [*held, skipped]


def _of(part: Any, translate: Callable[[Any], Iterable[Told]]) -> Translation:
    try:
        _storable(part)
        told = list(translate(part))
    except Puzzling as puzzling:
        return Translation(puzzles=[Puzzle(puzzling.code, puzzling.detail, part)])
    except ContractViolation as violation:
        return Translation(puzzles=[_puzzle(violation.violations, part)])
    refreshes = [one for one in told if isinstance(one, Refresh)]
    judged = [(one, _faults(one)) for one in told if isinstance(one, IncomingEvent)]
    faults = [fault for _, found in judged for fault in found]
    return Translation(
        events=[event for event, found in judged if not found],
        puzzles=[_puzzle(faults, part, _deal(one for one, _ in judged))] if faults else [],
        refreshes=refreshes,
    )


def _storable(part: Any) -> None:
    if fault := json_fault(part):
        raise ContractViolation(Violation("invalid_field", pointer(fault[0]), fault[1]))


def _faults(event: IncomingEvent) -> Sequence[Violation]:
    try:
        check(event)
        _printable(event)
        catalogue.parse(event.type, event.data, strict=True)
    except ContractViolation as violation:
        return violation.violations
    return ()


def _printable(event: IncomingEvent) -> None:
    """Names of types are shown to operators, and vendors' types enter them."""
    for name, given in (("type", event.type), ("id", event.id or "")):
        if not given.isprintable():
            raise ContractViolation(Violation("invalid_field", f"/{name}", "must be printable"))


def _puzzle(faults: Sequence[Violation], part: Any, deal_id: str | None = None) -> Puzzle:
    return Puzzle(faults[0].code, str(ContractViolation(*faults)), part, deal_id)


def _deal(events: Iterable[IncomingEvent]) -> str | None:
    """The deal that they are of, if that is one."""
    told = (event.data.get("deal_id") for event in events if isinstance(event.data, dict))
    named = {one for one in told if isinstance(one, str)}
    return named.pop() if len(named) == 1 else None


def digest(*named: Any) -> str:
    """The id of an occurrence whose source has none: a hash over what names it."""
    return sha256(canonical(named)).hexdigest()
