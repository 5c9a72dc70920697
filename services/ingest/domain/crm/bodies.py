"""From a body to its parts, and from each part to events: one rotten part spoils no other."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any

from libs.common.contracts import catalogue
from libs.common.contracts.cloudevents import IncomingEvent, canonical, check
from libs.common.contracts.errors import ContractViolation, Violation, pointer
from libs.common.contracts.values import json_fault
from services.ingest.domain.crm.model import Delivery, Puzzle, Translation, Unreadable
from services.ingest.domain.decoding import decode


class Puzzling(Exception):
    """What this part means, nobody can tell; its neighbours are not concerned."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def read(delivery: Delivery) -> Any:
    """The body's JSON; raises `Unreadable`."""
    try:
        return decode(delivery.body)
    except ContractViolation as violation:
        raise Unreadable(violation.violations[0].detail) from None


def gathered(
    parts: Iterable[Any], translate: Callable[[Any], Iterable[IncomingEvent]]
) -> Translation:
    """The events of all parts. A part that makes none, or one that would be refused, is a puzzle;
    what else it says enters. `translate` sees storable JSON only and may raise `Puzzling`."""
    events: list[IncomingEvent] = []
    puzzles: list[Puzzle] = []
    for part in parts:
        sound, puzzle = _translated(part, translate)
        events += sound
        puzzles += [] if puzzle is None else [puzzle]
    return Translation(events, puzzles)


def _translated(
    part: Any, translate: Callable[[Any], Iterable[IncomingEvent]]
) -> tuple[Sequence[IncomingEvent], Puzzle | None]:
    try:
        _storable(part)
        made = list(translate(part))
    except Puzzling as puzzling:
        return (), Puzzle(puzzling.code, puzzling.detail, part)
    except ContractViolation as violation:
        return (), _puzzle(violation, part)
    sound: list[IncomingEvent] = []
    faults: list[Violation] = []
    for event in made:
        found = _faults(event)
        faults += found
        sound += [] if found else [event]
    return sound, _puzzle(ContractViolation(*faults), part) if faults else None


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


def _puzzle(violation: ContractViolation, part: Any) -> Puzzle:
    return Puzzle(violation.code, str(violation), part)


def digest(*named: Any) -> str:
    """The id of an occurrence whose source has none: a hash over what names it."""
    return sha256(canonical(named)).hexdigest()
