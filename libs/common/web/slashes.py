"""Ids in paths that hold slashes: `%2F` belongs to the id, `/` parts the path."""

import re
from typing import Any
from urllib.parse import unquote

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

_ENCODED = re.compile("%2f", re.IGNORECASE)
_MARK = "\udc2f"
"""Stands for an encoded slash while a route is sought; no decoded path and no id holds it."""


class SlashRoute(APIRoute):
    """A route that sees where the sender encoded a slash: `/v1/deals/a%2Fstages` is the deal
    `a/stages`, `/v1/deals/a/stages` the stages of `a`."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        marked = _marked(scope)
        if marked is None:
            return super().matches(scope)
        match, child = super().matches({**scope, "path": marked})
        if match is not Match.NONE:
            child["path_params"] = {k: _restored(v) for k, v in child["path_params"].items()}
        return match, child


def _marked(scope: Scope) -> str | None:
    """The path with its encoded slashes marked, where it has any."""
    raw = scope.get("raw_path") or b""
    if b"%2" not in raw:
        return None
    parts = [unquote(part) for part in _ENCODED.split(raw.decode("ascii", "replace"))]
    return _MARK.join(parts) if "/".join(parts) == scope["path"] else None


def _restored(value: Any) -> Any:
    return value.replace(_MARK, "/") if isinstance(value, str) else value
