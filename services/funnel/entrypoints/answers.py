"""Answers of the funnel: JSON with instants in UTC and decimals as text."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from services.funnel.app.records import json_bytes


def json_answer(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(json_bytes(value), status, headers, media_type="application/json")
