"""Answers of alerts: JSON with instants in UTC."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response


def json_answer(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    body = orjson.dumps(value, option=orjson.OPT_UTC_Z)
    return Response(body, status, headers, media_type="application/json")
