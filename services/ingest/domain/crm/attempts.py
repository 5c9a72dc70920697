"""What tells one attempt to deliver from the next: no part of what names an occurrence."""

from collections.abc import Mapping
from typing import Any

from services.ingest.domain.crm.records import without

_HUBSPOT = ("eventId", "attemptNumber")
"""The former is documented as not unique, the latter counts attempts."""


def steady(kind: str, raw: Any) -> Any:
    """A part that a connection of this kind received, or a list of them, as each attempt tells
    it."""
    if isinstance(raw, list):
        return [steady(kind, one) for one in raw]
    if not isinstance(raw, dict):
        return raw
    match kind:
        case "hubspot":
            return of_hubspot(raw)
        case "pipedrive":
            return of_pipedrive(raw)
    return raw


def of_hubspot(part: Mapping[str, Any]) -> dict[str, Any]:
    return without(part, *_HUBSPOT)


def of_pipedrive(body: Mapping[str, Any]) -> dict[str, Any]:
    """The first version counts in `retry`, the second in `meta.attempt`."""
    kept, meta = without(body, "retry"), body.get("meta")
    return kept | {"meta": without(meta, "attempt")} if isinstance(meta, dict) else kept
