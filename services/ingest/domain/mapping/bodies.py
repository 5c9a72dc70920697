"""A JSON body under a mapping: where its rows are, and what expressions see of each."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.ingest.domain.mapping.compiled import CompiledMapping
from services.ingest.domain.mapping.faults import Unfit
from services.ingest.domain.mapping.plain import Scope

MAX_ROWS = 1_000
"""Of a line of a file; a connection has its own bound."""
_SECRET = frozenset({"authorization", "proxy-authorization", "cookie"})


class TooManyRows(Unfit):
    """A body with more rows than one delivery may hold."""


def split(mapping: CompiledMapping, body: Any, most: int = MAX_ROWS) -> tuple[Sequence[Any], Any]:
    """The rows of a body, at most so many, and the body without them. Raises `Unfit`.

    Without `rows` an array holds rows, and anything else is one.
    """
    path = mapping.document.rows
    if not path:
        rows, rest = (body, {}) if isinstance(body, list) else ([body], body)
    else:
        held, rest = _taken(body, path.split("."))
        if held is None:
            raise Unfit(f"the body has no rows at {path!r}")
        rows = held if isinstance(held, list) else [held]
    if len(rows) > most:
        raise TooManyRows(f"a body must not hold more than {most} rows")
    return rows, rest


def scope(row: Any, body: Any, headers: Mapping[str, str]) -> Scope:
    """What expressions see. Raises `Unfit`."""
    if not isinstance(row, Mapping):
        raise Unfit("a row must be a JSON object")
    shown = {name: value for name, value in headers.items() if name not in _SECRET}
    return {"row": row, "body": body if isinstance(body, Mapping) else {}, "headers": shown}


def _taken(body: Any, path: Sequence[str]) -> tuple[Any, Any]:
    if not isinstance(body, Mapping) or path[0] not in body:
        return None, body
    if len(path) == 1:
        return body[path[0]], {name: value for name, value in body.items() if name != path[0]}
    held, rest = _taken(body[path[0]], path[1:])
    return held, {**body, path[0]: rest}
