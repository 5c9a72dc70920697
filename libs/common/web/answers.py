"""Answers as JSON: instants in UTC (`Z`), ids of the database's driver as text."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from fastapi import Response


def json_answer(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    body = orjson.dumps(value, default=_driver_id, option=orjson.OPT_UTC_Z)
    return Response(body, status, headers, media_type="application/json")


def _driver_id(value: object) -> str:
    """The driver's UUIDs are of a class of their own, which orjson does not know."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"no JSON form for {type(value)}")
