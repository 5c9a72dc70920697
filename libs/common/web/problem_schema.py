"""Documents the problems that every operation may answer."""

from typing import Any

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "trace_id", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string", "description": "a stable slug"},
        "violated-policies": {
            "type": "array",
            "items": {"type": "string"},
            "description": "of 429: names of `RateLimit-Policy`",
        },
        "trace_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail", "code"],
                "properties": {
                    "pointer": {"type": "string"},
                    "parameter": {"type": "string"},
                    "detail": {"type": "string"},
                    "code": {"type": "string"},
                },
            },
        },
    },
}
_ANSWER = {
    "description": "A problem (RFC 9457).",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_REFUSED = {"$ref": "#/components/responses/OverLimit"}
_OVER_LIMIT: dict[str, Any] = _ANSWER | {
    "description": "A problem: more than is allowed, or guessing. Nothing was done or taken.",
    "headers": {
        "Retry-After": {
            "description": "Seconds until it is worth another try.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "RateLimit-Policy": {
            "description": 'What is allowed: `"events";q=600;w=60` is 600 in 60 s.',
            "schema": {"type": "string"},
        },
        "RateLimit": {
            "description": 'What is left, and seconds until all is: `"events";r=0;t=12`.',
            "schema": {"type": "string"},
        },
    },
}


def with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Replace the framework's own error shapes by ours."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    document["components"].setdefault("responses", {})["OverLimit"] = _OVER_LIMIT
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"].setdefault("429", _REFUSED)
            operation["responses"]["default"] = _ANSWER
    return document
