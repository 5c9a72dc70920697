"""OpenAPI of the bodies of `POST /v1/events` and `/v1/imports`, which no framework reads."""

from collections.abc import Mapping
from typing import Any

from libs.common.contracts.cloudevents import MAX_ID, MAX_SOURCE, MAX_SUBJECT, MAX_TYPE
from services.ingest.domain.examine import MAX_EVENT_BYTES
from services.ingest.settings import MIB, IngestSettings

_LIMITS = IngestSettings()
"""As they are where nobody sets them: a document is of the code, not of an installation."""
_MOST_EVENTS, _MOST_BYTES = _LIMITS.max_batch_events, _LIMITS.max_batch_bytes
_KIB = 1_024


def _text(most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


EVENT: Mapping[str, Any] = {
    "title": "CloudEvent",
    "description": "A CloudEvent 1.0 in structured mode. A missing `id` is a hash of what it says,"
    " a missing `time` that of the receipt. `data` of a type of the catalogue has that type's"
    " fields; other types are kept. Other extensions are taken and dropped.",
    "type": "object",
    "required": ["source", "type"],
    "properties": {
        "specversion": _or_null({"const": "1.0"}),
        "id": _or_null(_text(MAX_ID)),
        "source": _text(MAX_SOURCE),
        "type": _text(MAX_TYPE),
        "time": _or_null({"type": "string", "format": "date-time"}),
        "subject": _or_null(_text(MAX_SUBJECT)),
        "sequence": {
            "description": "The source's own counter, an integer or its digits.",
            "anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}],
        },
        "data": {},
    },
}
_BATCH = {"title": "Batch", "type": "array", "items": EVENT}
_BINARY = {"title": "Data", "description": "`data` alone: the rest is in `ce-*` headers."}
_CSV = "A table with a head; `mapping` names the mapping that says what its rows mean."


def _documented(description: str, content: Mapping[str, Any]) -> dict[str, Any]:
    schemas = {media: {"schema": schema} for media, schema in content.items()}
    return {"requestBody": {"description": description, "required": True, "content": schemas}}


EVENTS = _documented(
    f"One event of at most {MAX_EVENT_BYTES // _KIB} KiB, or a batch of at most {_MOST_EVENTS:,}"
    f" events and {_MOST_BYTES // MIB} MiB. Not compressed.",
    {
        "application/cloudevents+json": EVENT,
        "application/cloudevents-batch+json": _BATCH,
        "application/json": {"anyOf": [EVENT, _BATCH, _BINARY]},
    },
)
IMPORTS = _documented(
    "A file, plain or with `Content-Encoding: gzip`. `application/ndjson` and `application/jsonl`"
    " are other names of `application/x-ndjson`.",
    {
        "application/x-ndjson": {
            "type": "string",
            "description": "A structured event in each line, or with `mapping` a body of its kind.",
        },
        "text/csv": {"type": "string", "description": _CSV},
    },
)
