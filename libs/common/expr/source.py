"""Where a source is read before it is compiled: fields that it names, and what it may not."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from libs.common.expr.port import InvalidExpression

MAX_LENGTH = 2048
MAX_NESTING = 16
UNBUILT = (
    "now", "owner", "account", "lead", "days_since", "working_hours_since", "count_activities",
    "rank_by_revenue",
)  # fmt: skip
"""Names of the language that this release does not know."""
_LITERAL = re.compile(
    r"""[rRbB]{0,2}(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
)
_COMMENT = re.compile(r"//[^\n]*")
_LOOP = re.compile(r"\.\s*(all|exists|exists_one|map|filter)\s*\(")
_UNBUILT = re.compile(r"(?<![\w.])(" + "|".join(UNBUILT) + r")\b")


@dataclass(frozen=True, slots=True)
class Named:
    """The fields that a source names of one variable; `whole`: it may read any of them."""

    fields: frozenset[str]
    whole: bool


def check(source: str) -> None:
    """Raises `InvalidExpression` for what must not even reach the compiler."""
    _check_text(source)
    bare = without_literals(source)
    if _nesting(bare) > MAX_NESTING:
        raise InvalidExpression("too_complex", f"nests deeper than {MAX_NESTING} brackets")
    if found := _LOOP.search(bare):
        raise InvalidExpression(
            "too_complex", f"{found[1]}: loops are not allowed", *_position(bare, found.start(1))
        )
    if found := _UNBUILT.search(bare):
        line, column = _position(bare, found.start())
        raise InvalidExpression("not_supported_yet", f"{found[1]!r} is not built yet", line, column)


def _check_text(source: str) -> None:
    try:
        length = len(source.encode())
    except UnicodeEncodeError as error:
        line, column = _position(source, error.start)
        raise InvalidExpression("syntax", "is not valid Unicode", line, column) from None
    if length > MAX_LENGTH:
        raise InvalidExpression("too_long", f"must be at most {MAX_LENGTH} bytes of UTF-8")


def without_literals(source: str) -> str:
    """The source with texts and comments blanked, character by character."""
    blanked = _LITERAL.sub(lambda found: " " * len(found[0]), source)
    return _COMMENT.sub(lambda found: " " * len(found[0]), blanked)


def without_has(source: str, variables: Collection[str]) -> str:
    """`has(deal.f)` spelled as `("f" in deal)`, which is the same of a map.

    The library evaluates `has` of a name that is also a declared variable to its value.
    """
    names = "|".join(map(re.escape, variables))
    tested = re.compile(rf"(?<![\w.])has\s*\(\s*({names})\s*\.\s*([A-Za-z_]\w*)\s*\)")
    written, at = [], 0
    for found in tested.finditer(without_literals(source)):
        written += [source[at : found.start()], f'("{found[2]}" in {found[1]})']
        at = found.end()
    return "".join((*written, source[at:]))


def named(source: str, variables: Collection[str]) -> dict[str, Named]:
    """Per variable, what a source reads of it."""
    bare = without_literals(source)
    return {name: _named(bare, name) for name in variables}


def _named(bare: str, variable: str) -> Named:
    uses = re.findall(rf"(?<![\w.]){variable}\b(?:\s*\.\s*([A-Za-z_]\w*)(?!\w|\s*\())?", bare)
    return Named(frozenset(use for use in uses if use), "" in uses)


def _nesting(bare: str) -> int:
    depth = deepest = 0
    for character in bare:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _position(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, index - before.rfind("\n")
