"""Which service answers a path: the one table of segments after `/v1`."""

from collections.abc import Mapping
from urllib.parse import unquote

SEGMENTS: Mapping[str, tuple[str, ...]] = {
    "ingest": ("api-keys", "connections", "dead-letters", "events", "imports", "mappings",
               "tenants", "webhooks"),
    "funnel": ("accounts", "deals", "leads", "pipelines", "projection", "teams", "users"),
    "alerts": ("alerts", "backtests", "calendars", "channels", "deliveries", "playbooks",
               "routes", "rules", "runs", "sandbox", "silences"),
    "reporting": ("drill", "fiscal-calendar", "forecast", "funnel", "fx-rates", "goals",
                  "metrics", "pipeline", "reports", "stream"),
}  # fmt: skip
"""Segments of the whole interface, built or not: a service says itself what it cannot do yet."""

PAGES = {"/docs/metrics": "reporting"}
"""Pages that answers link to."""
_SERVICE_OF = {segment: service for service, names in SEGMENTS.items() for segment in names}


def routed(raw_path: bytes) -> str | None:
    """The path by which to route, segment by segment, so that an encoded slash stays within its
    own. None for one with dot segments: whoever resolves them would leave the route."""
    segments = raw_path.decode("latin-1").split("/")
    if {".", ".."} & set(segments):
        return None
    return "/".join(unquote(segment).replace("/", "%2F") for segment in segments)


def segment_of(path: str) -> str | None:
    """The segment after `/v1` that some service answers."""
    version, _, rest = path.removeprefix("/").partition("/")
    segment = rest.partition("/")[0]
    return segment if version == "v1" and segment in _SERVICE_OF else None


def pattern_of(path: str) -> str:
    """What a path that is served is called where names must not grow with ids."""
    segment = segment_of(path)
    return path if segment is None else f"/v1/{segment}"


def service_of(path: str) -> str | None:
    """The service that answers a path; its pages and `/openapi/<service>.json` are its own too."""
    if path in PAGES:
        return PAGES[path]
    segment = segment_of(path)
    if segment is not None:
        return _SERVICE_OF[segment]
    name = path.removeprefix("/openapi/").removesuffix(".json")
    return name if name in SEGMENTS and path == f"/openapi/{name}.json" else None
