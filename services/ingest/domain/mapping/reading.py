"""Compiles what an author wrote of one value: a column, a constant, an expression."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.common.expr import source as sources
from libs.common.expr.port import (
    Expression,
    ExpressionFailed,
    Expressions,
    InvalidExpression,
    Result,
)
from services.ingest.domain.mapping import plain
from services.ingest.domain.mapping.document import As, Constant, MappingDocument, Reading
from services.ingest.domain.mapping.faults import Unfit, quoted
from services.ingest.domain.mapping.plain import Get, Scope
from services.ingest.domain.mapping.spelling import Spell

MAX_EXPRESSIONS = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a mapping cannot be used; `pointer` leads into its document."""

    pointer: str
    code: str
    detail: str


@dataclass(slots=True)
class Compiler:
    """Compiles one mapping's values; remembers faults, and the columns that they name."""

    expressions: Expressions
    document: MappingDocument
    spell: Mapping[As, Spell]
    faults: list[Fault] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)
    compiled: int = 0

    @property
    def variables(self) -> Collection[str]:
        return ("row",) if self.document.kind == "csv" else plain.VARIABLES

    def fault(self, pointer: str, code: str, detail: str) -> None:
        self.faults.append(Fault(pointer, code, detail))

    def truth(self, source: str, pointer: str) -> Get:
        if self.document.kind == "csv" and (known := plain.truth(source)):
            self._note(source)
            return known
        return self._cel(source, pointer, truth=True)

    def value(self, spec: Any, pointer: str, as_: As) -> Get:
        """Spelled as asked for; nothing is `None`. A read may raise `Unfit`."""
        match spec:
            case str():
                return _spelled(self.source(spec, pointer), self.spell[as_])
            case Constant():
                return self._constant(spec.value, pointer, as_)
            case Reading():
                return self._reading(spec, pointer, as_)
            case bool() | int() | float():
                return self._constant(spec, pointer, as_)
        self.fault(pointer, "invalid_field", "must be an expression, a constant or a reading")
        return _nothing

    def source(self, source: str, pointer: str) -> Get:
        """What an expression is, unspelled."""
        if constant := plain.constant_of(source):
            return _always(constant[0])
        path = plain.path_of(source)
        if path is not None and path[0] in self.variables:
            if path[0] == "row":
                self.columns.add(path[1])
            if self.document.kind == "json" or len(path) == 2:
                return plain.reference(path)
        elif self.document.kind == "csv" and (known := plain.joined(source)):
            self._note(source)
            return known
        return self._cel(source, pointer, truth=False)

    def _reading(self, spec: Reading, pointer: str, as_: As) -> Get:
        spell = self.spell[spec.as_ or as_]
        read = self.source(spec.from_, f"{pointer}/from")
        if spec.lookup is not None:
            read = self._looked_up(read, spec.lookup, pointer)
        if spec.default is not None:
            read = _defaulted(read, spec.default)
        return _spelled(read, spell)

    def _looked_up(self, read: Get, name: str, pointer: str) -> Get:
        table = self.document.lookup.get(name)
        if table is None:
            self.fault(f"{pointer}/lookup", "unknown_lookup", f"the mapping has no table {name!r}")
            return _nothing
        key = self.spell["text"]

        def found(scope: Scope) -> Any:
            wanted = key(read(scope))
            return None if wanted is None else table.get(wanted, _Missing(name, wanted))

        return found

    def _constant(self, value: Any, pointer: str, as_: As) -> Get:
        try:
            return _always(self.spell[as_](value))
        except Unfit as error:
            self.fault(pointer, "invalid_field", str(error))
            return _nothing

    def _cel(self, source: str, pointer: str, *, truth: bool) -> Get:
        self.compiled += 1
        if self.compiled > MAX_EXPRESSIONS:
            self.fault(pointer, "too_complex", f"more than {MAX_EXPRESSIONS} expressions")
            return _nothing
        result: Result = "bool" if truth else "json"
        try:
            compiled = self.expressions.compile(source, self.variables, result)
        except InvalidExpression as error:
            where = f" (line {error.line}, column {error.column})" if error.line else ""
            self.fault(pointer, error.code, f"{error.detail}{where}")
            return _nothing
        self._note(source)
        return _evaluated(compiled)

    def _note(self, source: str) -> None:
        self.columns.update(_columns(source))


@dataclass(frozen=True, slots=True)
class _Missing:
    """A key that a table lacks: a fault unless there is a default."""

    table: str
    key: str


def _columns(source: str) -> Iterator[str]:
    """The columns that an expression reads by name, quoted ones included."""
    yield from sources.named(source, ("row",))["row"].fields
    yield from plain.indexed(source)


def _spelled(read: Get, spell: Spell) -> Get:
    def value(scope: Scope) -> Any:
        held = read(scope)
        if isinstance(held, _Missing):
            raise Unfit(f"{quoted(held.key)} is not in the table {held.table!r}")
        return spell(held)

    return value


def _defaulted(read: Get, default: Any) -> Get:
    def value(scope: Scope) -> Any:
        held = read(scope)
        return default if held is None or held == "" or isinstance(held, _Missing) else held

    return value


def _evaluated(compiled: Expression) -> Get:
    def value(scope: Scope) -> Any:
        try:
            return compiled.evaluate(scope)
        except ExpressionFailed as error:
            raise Unfit(f"the expression has no value: {error.detail}") from None

    return value


def _always(value: Any) -> Callable[[Scope], Any]:
    return lambda _: value


def _nothing(_: Scope) -> None:
    return None
