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
_LATER = {
    "Retry-After": {
        "description": "Seconds until it is worth another try.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_OVER_LIMIT: dict[str, Any] = _ANSWER | {
    "description": "A problem: more than is allowed, or guessing. Nothing was done or taken.",
    "headers": _LATER
    | {
        "RateLimit-Policy": {
            "description": 'What is allowed: `"events";q=600;w=60` is 600 in 60 s.',
            "required": True,
            "schema": {"type": "string"},
        },
        "RateLimit": {
            "description": 'What is left, and seconds until all is: `"events";r=0;t=12`.',
            "required": True,
            "schema": {"type": "string"},
        },
    },
}
_UNAVAILABLE = _ANSWER | {
    "description": "A problem: something is away, starting or busy. The same request may be sent"
    " again, with the `Idempotency-Key` that it had.",
    "headers": _LATER,
}
_SHARED = {"OverLimit": _OVER_LIMIT, "Unavailable": _UNAVAILABLE}
_ALWAYS = {
    "429": {"$ref": "#/components/responses/OverLimit"},
    "503": {"$ref": "#/components/responses/Unavailable"},
}
"""What any operation may answer, before it is looked at or after."""


def with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Replace the framework's own error shapes by ours."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    document["components"].setdefault("responses", {}).update(_SHARED)
    for operations in document.get("paths", {}).values():
        for method, operation in operations.items():
            operation["responses"].pop("422", None)
            if method == "put":
                operation["responses"] |= _created(operation["responses"])
            operation["responses"] = _ALWAYS | operation["responses"] | {"default": _ANSWER}
    return document


def _created(responses: dict[str, Any]) -> dict[str, Any]:
    """What is put and was not there is answered as what was, with another status."""
    return {"201": responses["200"] | {"description": "It was not there before."}}
