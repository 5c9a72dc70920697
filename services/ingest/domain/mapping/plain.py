"""Expressions that are too plain for a compiler: references, constants, texts joined, comparisons.

Most of a mapping is these, and each row meets each of them. What they mean is what CEL says that
they mean; tests hold both against each other.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.ingest.domain.crm.bounds import MOST_BYTES, TOO_LARGE, TooMuch

Scope = Mapping[str, Any]
"""`row`, and for JSON `body` and `headers`."""
Get = Callable[[Scope], Any]
VARIABLES = ("row", "body", "headers")
_TEXT = r"(?:'[^'\\\n]*'|\"[^\"\\\n]*\")"
_STEP = rf"\.[A-Za-z_]\w*(?!\s*\()|\[\s*(?:{_TEXT})\s*\]"
_REFERENCE = rf"row(?:{_STEP})"
"""A column. All that follows is for tables, whose cells are texts that are always there."""
_WORDS = frozenset({*VARIABLES, "true", "false", "null", "in"})
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PATH = re.compile(rf"({'|'.join(VARIABLES)})((?:{_STEP})+)", re.ASCII)
_STEPS = re.compile(r"\.([A-Za-z_]\w*)|\[\s*['\"](.*?)['\"]\s*\]", re.ASCII)
_INDEXED = re.compile(r"(?<![\w.])row\s*\[\s*['\"](.*?)['\"]\s*\]")
_LITERAL = re.compile(_TEXT)
_INTEGER = re.compile(r"-?\d{1,15}", re.ASCII)
_TERM = rf"{_TEXT}|{_REFERENCE}"
_TERMS = re.compile(_TERM, re.ASCII)
_JOINED = re.compile(rf"(?:{_TERM})(?:\s*\+\s*(?:{_TERM}))+", re.ASCII)
_EQUAL = re.compile(rf"({_REFERENCE})\s*(==|!=)\s*({_TEXT})", re.ASCII)
_BEGINS = re.compile(rf"({_REFERENCE})\.startsWith\(\s*({_TEXT})\s*\)", re.ASCII)
_AMONG = re.compile(rf"({_REFERENCE})\s+in\s+\[\s*({_TEXT}(?:\s*,\s*(?:{_TEXT}))*)\s*\]", re.ASCII)
_ATOM = re.compile(
    rf"{_REFERENCE}(?:\s*(?:==|!=)\s*(?:{_TEXT})|\.startsWith\(\s*(?:{_TEXT})\s*\)"
    rf"|\s+in\s+\[\s*(?:{_TEXT})(?:\s*,\s*(?:{_TEXT}))*\s*\])",
    re.ASCII,
)


def path_of(source: str) -> tuple[str, ...] | None:
    """The steps of a plain reference, its variable first; a name alone is one of the row's."""
    source = source.strip()
    if _IDENTIFIER.fullmatch(source) and source not in _WORDS:
        return ("row", source)
    if found := _PATH.fullmatch(source):
        return (found[1], *(a or b for a, b in _STEPS.findall(found[2])))
    return None


def constant_of(source: str) -> tuple[Any] | None:
    """The value of a literal, as the only element."""
    source = source.strip()
    if _LITERAL.fullmatch(source):
        return (source[1:-1],)
    return (int(source),) if _INTEGER.fullmatch(source) else None


def indexed(source: str) -> list[str]:
    """Columns that a source names in quotes, such as `row['Close Date']`."""
    return [found[1] for found in _INDEXED.finditer(source)]


def reference(path: tuple[str, ...]) -> Get:
    """Reads a path; `None` where there is nothing."""
    if len(path) == 2:
        variable, name = path
        return lambda scope: scope[variable].get(name)
    return lambda scope: _walked(scope, path)


def joined(source: str) -> Get | None:
    """Texts of a table and literals, one after the other."""
    if not _JOINED.fullmatch(source.strip()):
        return None
    parts = [_term(found[0]) for found in _TERMS.finditer(source)]
    return lambda scope: _bounded([part(scope) for part in parts])


def _bounded(texts: Sequence[str]) -> str:
    """Raises `TooMuch`: a column may be named often, and a row may be 1 MiB."""
    if sum(map(len, texts)) > MOST_BYTES:
        raise TooMuch(TOO_LARGE, f"joins more than {MOST_BYTES} characters to one text")
    return "".join(texts)


def truth(source: str) -> Get | None:
    """Comparisons of a table's texts, all of which must hold."""
    atoms: list[Get] = []
    place, source = 0, source.strip()
    while found := _ATOM.match(source, place):
        atoms.append(_atom(found[0]))
        gap = re.compile(r"\s*&&\s*").match(source, found.end())
        if gap is None:
            return _all(atoms) if found.end() == len(source) else None
        place = gap.end()
    return None


def _all(atoms: list[Get]) -> Get:
    if len(atoms) == 1:
        return atoms[0]
    return lambda scope: all([atom(scope) for atom in atoms])  # noqa: C419  faster as a list


def _atom(source: str) -> Get:
    if found := _EQUAL.fullmatch(source):
        get, text, equal = _term(found[1]), found[3][1:-1], found[2] == "=="
        return lambda scope: (get(scope) == text) is equal
    if found := _BEGINS.fullmatch(source):
        get, text = _term(found[1]), found[2][1:-1]
        return lambda scope: get(scope).startswith(text)
    among = _AMONG.fullmatch(source)
    assert among is not None  # noqa: S101  _ATOM matched
    get, texts = _term(among[1]), {t[1:-1] for t in _LITERAL.findall(among[2])}
    return lambda scope: get(scope) in texts


def _term(source: str) -> Get:
    path = path_of(source)
    if path is None:
        text = source[1:-1]
        return lambda _: text
    return reference(path)


def _walked(scope: Scope, path: tuple[str, ...]) -> Any:
    held: Any = scope
    for step in path:
        if not isinstance(held, Mapping):
            return None
        held = held.get(step)
    return held
