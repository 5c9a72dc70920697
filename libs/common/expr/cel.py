"""The rule language: CEL, by the C++ implementation of its authors.

Two habits of the library shape this file (0.1.3, ADR 0051). It takes instants only for variables
that are declared as timestamps, never inside a map: each instant that a source names is declared as
a qualified variable (`deal.created_at`), in one program for each set of fields that have one. And a
failed evaluation comes back as a value of the type ERROR.
"""

import re
from collections import OrderedDict
from collections.abc import Collection, Mapping
from datetime import datetime
from threading import Lock
from typing import Any

from cel_expr_python import cel

from libs.common.contracts.values import clean_text
from libs.common.expr import source as sources
from libs.common.expr.port import ExpressionFailed, InvalidExpression, Result
from libs.common.expr.source import Named

KEPT = 2_000
MAX_TEXT = 1_000
MAX_DETAIL = 300
_WHERE = re.compile(r"<input>:(\d+):(\d+): ([^\n]*)")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""U+0000 and lone surrogates."""
_MAP = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
_ANY = cel.Type.DYN


class Cel:
    """Implements `Expressions`; keeps what it compiled last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, tuple[str, ...], Result], CelExpression] = OrderedDict()
        self._lock = Lock()

    def compile(self, source: str, variables: Collection[str], result: Result) -> "CelExpression":
        """Raises `InvalidExpression`."""
        key = source, tuple(sorted(variables)), result
        with self._lock:
            if key not in self._kept:
                self._kept[key] = CelExpression(source, key[1], result)
                if len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


class CelExpression:
    """Implements `Expression`."""

    def __init__(self, source: str, variables: tuple[str, ...], result: Result) -> None:
        sources.check(source)
        self.source = source
        self._variables, self._result = variables, result
        self._spelled = sources.without_has(source, variables)
        self._named = sources.named(self._spelled, variables)
        self._programs: dict[tuple[str, ...], cel.Expression] = {}
        if self._spelled != source:  # faults are told where the author wrote them
            _compiled(source, dict.fromkeys(variables, _MAP))
        self._refuse(self._program(()).return_type())

    def _refuse(self, found: cel.Type) -> None:
        if self._result == "bool" and found not in (cel.Type.BOOL, _ANY):
            raise InvalidExpression("type", f"must be true or false, not {found.name()}")

    def _program(self, instants: tuple[str, ...]) -> cel.Expression:
        """The program in which these qualified names are timestamps."""
        if instants not in self._programs:
            types = dict.fromkeys(self._variables, _MAP)
            types |= dict.fromkeys(instants, cel.Type.TIMESTAMP)
            self._programs[instants] = _compiled(self._spelled, types)
        return self._programs[instants]

    def names(self, variable: str, field: str) -> bool:
        """Whether the source may read this field of a variable."""
        named = self._named[variable]
        return named.whole or field in named.fields

    def evaluate(self, variables: Mapping[str, Mapping[str, Any]]) -> Any:
        """Raises `ExpressionFailed`."""
        data: dict[str, Any] = {}
        for name in self._variables:
            data |= _given(name, self._named[name], variables[name])
        instants = tuple(
            sorted(name for name, value in data.items() if isinstance(value, datetime))
        )
        try:
            found = self._program(instants).eval(data=data)
        except (InvalidExpression, RuntimeError, ValueError, TypeError, OverflowError) as error:
            raise ExpressionFailed(_shortened(str(error))) from None
        return _result(found, self._result)


def _compiled(source: str, types: Mapping[str, cel.Type]) -> cel.Expression:
    try:
        return cel.NewEnv(variables=types).compile(source)
    except (RuntimeError, ValueError, TypeError) as error:
        raise _invalid(str(error)) from None


def _invalid(message: str) -> InvalidExpression:
    found = _WHERE.search(message)
    if found is None:
        return InvalidExpression("too_complex", _shortened(message))
    line, column, detail = int(found[1]), int(found[2]), found[3].partition(" [")[0]
    if "undeclared reference" in detail:
        return InvalidExpression("unknown_name", _shortened(detail), line, column)
    code = "syntax" if detail.startswith("Syntax error") else "type"
    return InvalidExpression(code, _shortened(detail), line, column)  # type: ignore[arg-type]


def _given(name: str, named: Named, value: Mapping[str, Any]) -> dict[str, Any]:
    """A variable's map with what the source reads of it, and its instants by qualified name."""
    if not named.fields and not named.whole:
        return {name: {}}
    fields = value if named.whole else {f: value[f] for f in named.fields if f in value}
    plain = {field: _plain(held) for field, held in fields.items()}
    times = {
        f"{name}.{field}": held
        for field in named.fields
        if isinstance(held := value.get(field), datetime)
    }
    return {name: plain} | times


def _plain(value: Any) -> Any:
    """Instants inside maps travel as texts: `timestamp(deal['created_at'])` reads them."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _plain(held) for name, held in value.items()}
    return [_plain(held) for held in value] if isinstance(value, list | tuple) else value


def _result(found: cel.Value, wanted: Result) -> Any:
    kind = found.type()
    value = None if kind == cel.Type.NULL else found.value()
    if kind == cel.Type.ERROR:
        raise ExpressionFailed(_shortened(str(value)))
    if wanted == "text":
        return _text(value)
    if wanted == "json":
        return _json(value)
    if not isinstance(value, bool):
        raise ExpressionFailed(f"must be true or false, not {kind.name()}")
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float | datetime):
        raise ExpressionFailed("must be a text, a number, true or false, or null")
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    if len(text) > MAX_TEXT:
        raise ExpressionFailed(f"is longer than {MAX_TEXT} characters")
    return _storable(text)


def _storable(text: str) -> str:
    """Only what PostgreSQL can store."""
    try:
        return clean_text(text)
    except ValueError as error:
        raise ExpressionFailed(str(error)) from None


def _json(value: Any) -> Any:
    """Plain values of what the library wraps; its own parser bounds how deep they nest."""
    match value.value() if isinstance(value, cel.Value) else value:
        case dict() as held:
            return {_key(key): _json(part) for key, part in held.items()}
        case list() as held:
            return [_json(part) for part in held]
        case datetime() as held:
            return held.isoformat()
        case None | bool() | int() | float() | str() as held:
            return held
    raise ExpressionFailed("must be what JSON can say")


def _key(key: Any) -> str:
    plain = key.value() if isinstance(key, cel.Value) else key
    if not isinstance(plain, str):
        raise ExpressionFailed("keys of a map must be texts")
    return plain


def _shortened(message: str) -> str:
    """One line that can be stored: a message may quote the source's own texts, or a fact."""
    line = message.removeprefix("INVALID_ARGUMENT: ").partition("\n")[0][:MAX_DETAIL]
    return _UNSTORABLE.sub("\ufffd", line)
