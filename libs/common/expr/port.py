"""The port of the rule language: what is compiled, what it is given, how it fails."""

from collections.abc import Collection, Mapping
from typing import Any, Literal, Protocol

Result = Literal["bool", "text", "json"]
Code = Literal["syntax", "unknown_name", "type", "too_long", "too_complex", "not_supported_yet"]


class InvalidExpression(ValueError):
    """A source that cannot be compiled. `line` and `column` count from 1, where they are known."""

    def __init__(
        self, code: Code, detail: str, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(detail)
        self.code, self.detail, self.line, self.column = code, detail, line, column


class ExpressionFailed(Exception):
    """An evaluation without a value: a missing key, operands that do not fit, a spent budget."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Expression(Protocol):
    """A compiled source; safe to share between threads."""

    @property
    def source(self) -> str: ...

    def names(self, variable: str, field: str) -> bool:
        """Whether the source may read this field of a variable."""
        ...

    def evaluate(self, variables: Mapping[str, Mapping[str, Any]]) -> Any:
        """A `bool`, a text or any JSON value, as asked for when compiled. Raises
        `ExpressionFailed`.

        Variables are maps of str, bool, int, float, `None`, aware datetimes, lists and maps.
        An instant inside of JSON is a text.
        """
        ...


class Expressions(Protocol):
    """A compiler."""

    def compile(self, source: str, variables: Collection[str], result: Result) -> Expression:
        """Raises `InvalidExpression`."""
        ...
