"""A mapping, compiled: from the scope of a row to its events."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from libs.common.contracts.cloudevents import IncomingEvent
from libs.common.contracts.errors import ContractViolation, Violation, pointer
from libs.common.expr.port import Expressions
from services.ingest.domain.mapping import plain, targets
from services.ingest.domain.mapping.document import (
    As,
    Constant,
    EventSpec,
    MappingDocument,
    Reading,
)
from services.ingest.domain.mapping.faults import Unfit
from services.ingest.domain.mapping.made import Load
from services.ingest.domain.mapping.plain import Get, Scope
from services.ingest.domain.mapping.reading import Compiler, Fault
from services.ingest.domain.mapping.spelling import spellings

_TYPE = re.compile(r"[a-z][a-z_]*(?:\.[a-z_]+)+", re.ASCII)
_SPEC: TypeAdapter[Constant | Reading] = TypeAdapter(Constant | Reading)
Field = tuple[str, str, Get]
"""Name, pointer into the mapping, how it is read."""


class UnusableMapping(Exception):
    """A mapping that cannot be compiled."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults[:5]))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class EventMaker:
    """Makes one event of a row, if its condition holds."""

    place: str
    when: Get | None
    type: Get
    id: Get | None
    time: Get | None
    sequence: Get | None
    fields: Sequence[Field]
    nested: Sequence[tuple[str, Sequence[tuple[str, str, Get, bool]]]]


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """`columns` are those that a table must have, `optional` ones that it may lack."""

    document: MappingDocument
    columns: frozenset[str]
    optional: frozenset[str]
    makers: Sequence[EventMaker]

    def events(self, scope: Scope, source: str, load: Load) -> list[IncomingEvent]:
        """The events of one row, in the mapping's order. Raises `ContractViolation` with all
        faults: a row enters whole or not at all. Raises `TooMuch` for what `load` does not take."""
        faults: list[Violation] = []
        made = [_made(maker, scope, source, faults, load) for maker in self.makers]
        if faults:
            raise ContractViolation(*faults)
        return [event for event in made if event is not None]


def compiled(document: MappingDocument, expressions: Expressions) -> CompiledMapping:
    """Raises `UnusableMapping`."""
    compiler = Compiler(expressions, document, spellings(document))
    makers = [_maker(compiler, spec, f"/events/{n}") for n, spec in enumerate(document.events)]
    if compiler.faults:
        raise UnusableMapping(compiler.faults)
    optional = frozenset(document.optional)
    needed = frozenset(compiler.columns)
    return CompiledMapping(document, needed - optional, needed & optional, makers)


def _maker(compiler: Compiler, spec: EventSpec, place: str) -> EventMaker:
    type_ = _type(compiler, spec.type, f"{place}/type")
    known = type_ if isinstance(type_, str) else None
    fields, nested = _data(compiler, spec.data, f"{place}/data", known)
    return EventMaker(
        place=place,
        when=None if spec.when is None else compiler.truth(spec.when, f"{place}/when"),
        type=(lambda _: type_) if isinstance(type_, str) else type_,
        id=_optional(compiler, spec.id, f"{place}/id", "text"),
        time=_optional(compiler, spec.time, f"{place}/time", "instant"),
        sequence=_optional(compiler, spec.sequence, f"{place}/sequence", "integer"),
        fields=fields,
        nested=nested,
    )


def _optional(compiler: Compiler, spec: Any, place: str, as_: As) -> Get | None:
    if isinstance(spec, Reading) and spec.as_ not in (None, as_):
        compiler.fault(f"{place}/as", "invalid_field", f"is always {as_}")
    return None if spec is None else compiler.value(spec, place, as_)


def _type(compiler: Compiler, spec: str | Constant | Reading, place: str) -> str | Get:
    """A type of the catalogue as it is, or how it is read."""
    literal = spec.value if isinstance(spec, Constant) else spec
    constant = plain.constant_of(spec) if isinstance(spec, str) else None
    if constant is not None:
        literal = constant[0]
    elif isinstance(spec, str) and (not _TYPE.fullmatch(spec) or _is_reference(spec)):
        return compiler.value(spec, place, "text")
    if isinstance(literal, Reading):
        return compiler.value(literal, place, "text")
    if not isinstance(literal, str) or targets.fields_of(literal) is None:
        compiler.fault(place, "unknown_type", "is no type of the catalogue")
        return ""
    return literal


def _is_reference(spec: str) -> bool:
    return spec.partition(".")[0] in plain.VARIABLES


def _data(
    compiler: Compiler, data: Mapping[str, Any], place: str, type_: str | None
) -> tuple[list[Field], list[tuple[str, list[tuple[str, str, Get, bool]]]]]:
    known = targets.fields_of(type_) if type_ else None
    fields: list[Field] = []
    nested: list[tuple[str, list[tuple[str, str, Get, bool]]]] = []
    for name, given in data.items():
        where = place + pointer((name,))
        if known is not None and name not in known.spelled:
            compiler.fault(where, "unknown_field", f"is no field of {type_}")
        elif name in targets.OPEN and isinstance(given, dict) and not _is_spec(given):
            nested.append((name, list(_inner(compiler, name, given, where))))
        else:
            as_: As = known.spelled[name] if known else "json"
            fields.append((name, where, compiler.value(_spec(given), where, as_)))
    for name in sorted(known.needed - data.keys()) if known else ():
        compiler.fault(place + pointer((name,)), "missing_field", f"{type_} needs it")
    return fields, nested


def _inner(
    compiler: Compiler, name: str, given: Mapping[str, Any], place: str
) -> Iterator[tuple[str, str, Get, bool]]:
    for inner, spec_ in given.items():
        where, spec = place + pointer((inner,)), _spec(spec_)
        clear = isinstance(spec, Reading) and spec.clear
        yield inner, where, compiler.value(spec, where, targets.inner(name, inner)), clear


def _is_spec(given: Mapping[str, Any]) -> bool:
    return "from" in given or "value" in given


def _spec(given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    try:
        return _SPEC.validate_python(given)
    except ValidationError:
        return None


def _made(
    maker: EventMaker, scope: Scope, source: str, faults: list[Violation], load: Load
) -> IncomingEvent | None:
    before = len(faults)
    if maker.when is not None and not _read(maker.when, maker.place + "/when", scope, faults):
        return None
    load.event()
    type_ = _needed(maker.type, maker.place + "/type", scope, faults)
    event_id = maker.id and _needed(maker.id, maker.place + "/id", scope, faults)
    time = maker.time and _needed(maker.time, maker.place + "/time", scope, faults)
    sequence = maker.sequence and _needed(maker.sequence, maker.place + "/sequence", scope, faults)
    load.value([type_, event_id])
    data = _data_of(maker, scope, faults, load)
    if len(faults) > before:
        return None
    at = None if time is None else datetime.fromisoformat(time)
    return IncomingEvent(event_id, source, type_, at, None, sequence, data)


def _data_of(
    maker: EventMaker, scope: Scope, faults: list[Violation], load: Load
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, place, read in maker.fields:
        value = _read(read, place, scope, faults)
        load.value(value)
        if value is not None:
            data[name] = value
    for name, parts in maker.nested:
        held: dict[str, Any] = {}
        for inner, place, read, _ in parts:
            held[inner] = _read(read, place, scope, faults)
            load.value(held[inner])
        clear = {inner for inner, _, _, clears in parts if clears}
        data[name] = {k: v for k, v in held.items() if v is not None or k in clear}
    return data


def _needed(read: Get, place: str, scope: Scope, faults: list[Violation]) -> Any:
    """What the mapping names must be there: an id or a time is never made up in its place."""
    before = len(faults)
    value = _read(read, place, scope, faults)
    if value is None and len(faults) == before:
        faults.append(Violation("missing_field", place, "the row has nothing there"))
    return value


def _read(read: Get, place: str, scope: Scope, faults: list[Violation]) -> Any:
    try:
        return read(scope)
    except Unfit as error:
        faults.append(Violation("invalid_field", place, str(error)))
        return None
